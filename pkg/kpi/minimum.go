package kpi

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

func minimumEffortCheck() Check {
	return Check{
		Name: "minimum_effort", Title: "Use for the count",
		Question: "Are there more person-weeks of one or two requests than the rest of the distribution lets expect?",
		MinimumN: minPersons, Adversarial: true, Formula: "minimum_effort/1", assess: minimumEffort,
	}
}

const (
	// fewest to most requests a week are what the distribution is fitted to; beyond
	// it says nothing of its lower end.
	fewest, most = 3, 40
	// minTail is how many person-weeks must lie there.
	minTail = 200
)

// tail counts person-weeks by their requests, from 1 to most.
type tail [most + 1]float64

// minimumEffort is b1 = (observed - expected) / expected of person-weeks with one
// or two requests, since the announcement beside (placebo) before it. What is
// expected is a negative binomial fitted to the weeks with 3 to 40 requests and
// extended down. It concerns targets of use alone, which one request meets.
func minimumEffort(s *sample) Finding {
	if s.Target.Metric != policy.WeeklyUse {
		return unknown(0, ReasonMetric)
	}
	if s.Panel.TeamUnits {
		return unknown(0, ReasonFewUsers)
	}
	announced := s.Target.Announced
	before, users0 := s.tails(span{max(0, announced-maxWindow), announced})
	after, users := s.tails(span{max(announced, s.Week+1-maxWindow), s.Week + 1})
	switch {
	case users0 < minPersons:
		return unknown(users0, ReasonHistory)
	case users < minPersons:
		return unknown(users, ReasonFewUsers)
	case s.clusters < minClusters:
		return unknown(users, ReasonClusters)
	}
	once := make([]float64, s.clusters)
	for g := range once {
		once[g] = 1
	}
	now, then := pooled(after, once), pooled(before, once)
	if now.weeks() < minTail || then.weeks() < minTail {
		return unknown(users, ReasonTail)
	}
	ratio, ratio0 := now.excess(), then.excess()
	apart := math.Log(ratio) - math.Log(ratio0)
	logs := make([]float64, 0, draws)
	spread := bootstrap(s.rng("minimum_effort"), s.clusters, func(times []float64) float64 {
		now, then := pooled(after, times), pooled(before, times)
		drawn := math.Log(now.excess())
		logs = append(logs, drawn)
		return drawn - math.Log(then.excess())
	})
	_, variance := meanVariance(spread)
	_, own := meanVariance(logs)
	if len(spread) < draws*9/10 || math.IsNaN(apart) || !(variance > 0) || math.IsNaN(own) {
		return unknown(users, ReasonDegenerate)
	}
	f := Finding{
		Value: ratio - 1, Known: true, Bounded: true, N: users,
		Lo:      float64(ratio*math.Exp(-intervalZ*math.Sqrt(own))) - 1,
		Hi:      float64(ratio*math.Exp(intervalZ*math.Sqrt(own))) - 1,
		Placebo: ratio0 - 1, PlaceboKnown: true,
		Z: apart / math.Sqrt(variance), ZKnown: true,
	}
	f.Alarm = f.Z > alarmZ
	return f
}

// tails counts person-weeks by cluster, and the persons with any.
func (s *sample) tails(in span) ([]tail, int) {
	all := make([]tail, s.clusters)
	users := 0
	for i, u := range s.units {
		used := false
		for w := in.from; w < in.to; w++ {
			k := u.week(w)
			if !k.Known || k.Requests < 1 {
				continue
			}
			used = true
			if k.Requests <= most {
				all[s.cluster[i]][k.Requests]++
			}
		}
		if used {
			users++
		}
	}
	return all, users
}

// pooled sums the counts of the clusters, each as often as it was drawn.
func pooled(tails []tail, times []float64) tail {
	var sum tail
	for g := range tails {
		for k, n := range tails[g] {
			sum[k] += float64(times[g] * n)
		}
	}
	return sum
}

// weeks returns how many person-weeks the distribution is fitted to.
func (t *tail) weeks() float64 {
	var n float64
	for k := fewest; k <= most; k++ {
		n += t[k]
	}
	return n
}

// excess returns observed to expected person-weeks with one or two requests.
func (t *tail) excess() float64 {
	w := weights(t.fit())
	var sum float64
	for k := fewest; k <= most; k++ {
		sum += w[k]
	}
	expected := t.weeks() * (w[1] + w[2]) / sum
	return (t[1] + t[2] + 0.5) / (expected + 0.5)
}

// weights returns the probabilities of 1 to most under a negative binomial of
// size r and ratio q, up to a factor.
func weights(r, q float64) tail {
	var w tail
	w[1] = 1
	for k := 1; k < most; k++ {
		w[k+1] = w[k] * q * (float64(k) + r) / float64(k+1)
	}
	return w
}

// fit returns the most likely r and q of a negative binomial truncated to fewest
// to most. It scores: each step is the distance of the observed from the expected
// mean of the derivatives, over their covariance. Truncated on both sides, the
// distribution exists for q above 1 too.
func (t *tail) fit() (r, q float64) {
	const steps, enough = 100, 1e-9
	a, b := 0.0, -0.1 // ln r, ln q
	n := t.weeks()
	for range steps {
		r, q = math.Exp(a), math.Exp(b)
		w := weights(r, q)
		var sum, da, db, ea, eb, aa, ab, bb float64
		slope := 0.0 // derivative of ln w[k] by ln r; that by ln q is k
		for k := 2; k <= most; k++ {
			slope += r / (float64(k-1) + r)
			if k < fewest {
				continue
			}
			x, p := float64(k), w[k]
			sum += p
			da += float64(t[k] * slope)
			db += float64(t[k] * x)
			ea += float64(p * slope)
			eb += float64(p * x)
			aa += float64(p * slope * slope)
			ab += float64(p * slope * x)
			bb += float64(p * x * x)
		}
		ea, eb = ea/sum, eb/sum
		aa, ab, bb = aa/sum-float64(ea*ea), ab/sum-float64(ea*eb), bb/sum-float64(eb*eb)
		da, db = da/n-ea, db/n-eb
		det := float64(aa*bb) - float64(ab*ab)
		if !(det > 0) {
			break
		}
		stepA := (float64(bb*da) - float64(ab*db)) / det
		stepB := (float64(aa*db) - float64(ab*da)) / det
		shorter := min(1, 0.5/math.Abs(stepA), 0.5/math.Abs(stepB))
		a = min(max(a+float64(shorter*stepA), -5), 5)
		b = min(max(b+float64(shorter*stepB), -5), 1)
		if math.Abs(stepA)+math.Abs(stepB) < enough {
			break
		}
	}
	return math.Exp(a), math.Exp(b)
}
