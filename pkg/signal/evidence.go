package signal

// evidence is what a signal about a subject rests on: the headline with the
// look-alikes, what every signal states, what the signal adds, and what supports
// it.
func (e *evaluation) evidence(o *observation, i int) []Fact {
	d, r := &e.catalogue[i], &o.readings[i]
	facts := []Fact{
		d.headline(r, r.findings),
		maybe("coverage", "share of the records that it could be measured on", share(r.Known, r.Of), r.Of > 0, "share", r.Of),
	}
	o.compare(d.Code)
	facts = append(facts, d.facts(o, r)...)
	for c := range cohorts {
		t := r.together[c]
		facts = append(facts, maybe(factNames[c], "share of the others of the same "+c.String()+" who moved at least half as far",
			t.share(), t.others >= gateOthers, "share", t.others).against(gateShare))
	}
	if med, z, n := e.p.peerShift(o, i); n >= minimumPeers {
		facts = append(facts,
			number("peers", "median shift of peers of the same role and tool", med, "as the shift", n),
			number("z_peers", "shift in standard deviations of the peers", z, "standard deviations", n))
	}
	facts = append(facts, e.persistence(o, i)...)
	if o.state != nil && d.Kind == Mechanism {
		facts = append(facts, count("confidence", "independent families that stand: 1 low, 2 medium, 3 and more high", e.confidence(o), "families", r.N))
		facts = append(facts, e.support(o, i)...)
	}
	return facts
}

// factNames of the gate's facts, by cohort.
var factNames = [cohorts]string{"version_share", "model_share", "team_share", "repository_share"}

// persistence says how often it fired, and the chance of that.
func (e *evaluation) persistence(o *observation, i int) []Fact {
	d := &e.catalogue[i]
	for _, f := range o.state.Families {
		if f.Code != d.Code {
			continue
		}
		n, p := hits(f.Windows, d.spans)
		facts := []Fact{count("persistence", "windows of the last three in which it fired", int64(n), "windows", int64(len(f.Windows))).against(float64(d.needed()))}
		chance := number("chance_of_it", "probability of that by chance; the threshold is the false discovery rate's of this week", p, "probability", int64(n))
		if e.chance[i] >= 0 {
			chance = chance.against(e.chance[i])
		}
		return append(facts, chance)
	}
	return nil
}

// support lists the other families that stand.
func (e *evaluation) support(o *observation, i int) []Fact {
	var facts []Fact
	for k, is := range e.active[o] {
		if !is || k == i {
			continue
		}
		d, r := &e.catalogue[k], &o.readings[k]
		if !r.Measure.measured() {
			continue
		}
		facts = append(facts, number("with_"+d.Code, d.Title+": "+d.Statistic, r.Value, d.unit(r), r.N).against(r.Threshold))
		if d.Kind == Supporting { // a mechanism states its own
			o.compare(d.Code)
			for _, f := range d.facts(o, r) {
				f.Name = d.Code + "_" + f.Name
				facts = append(facts, f)
			}
		}
	}
	return facts
}
