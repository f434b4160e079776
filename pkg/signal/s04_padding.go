package signal

// S4: of natural turns of 8 KiB one in a thousand compresses to 3 %.
const (
	s4Minimum = 10
	s4Natural = 0.001
	s4Ratio   = 0.03
	s4P       = 1e-4
)

func padding() Definition {
	return Definition{
		Code: "S4", Title: "Padding", Kind: Supporting, Label: PossibleGaming,
		Needs:     []string{"compression ratio of new turns of at least 8 KiB"},
		Statistic: "turns that compress below 0.03 among those of at least 8 KiB; P[Bin(n, 0.001) >= k]",
		MinimumN:  s4Minimum, Sample: "long turns",
		Thresholds: []Threshold{
			{"compression ratio of a padded turn, below", s4Ratio, "share"},
			{"probability by chance, at most", s4P, "probability"},
		},
		LookAlikes: []LookAlike{
			look("logs and tables", "they repeat themselves line by line", unseen),
			look("generated or minified text", "machines write more evenly than people", unseen),
			look("encoded data", "base64 of little data compresses well", unseen),
			look("a source of the team", "the team reads the same kind of text", together(sameTeam)),
		},
		Question: "What kind of text was it?",
		Formula:  "padding/1",
		self:     "In {week} {value} of your long prompts were almost entirely repetition.",
		measure: func(o *observation) (r Reading) {
			w := o.week
			if !r.sample(w.DenseTurns, w.DenseTurns, w.Requests, s4Minimum) {
				return r
			}
			r.Value, r.Threshold = share(w.PaddedTurns, w.DenseTurns), s4Natural
			r.Shift = r.Value
			r.P = binomialTail(w.DenseTurns, w.PaddedTurns, s4Natural)
			r.decide(r.P <= s4P)
			return r
		},
		facts: func(o *observation, r *Reading) []Fact {
			return []Fact{
				count("padded", "long turns that compress below 0.03", o.week.PaddedTurns, "turns", r.N),
				number("p", "probability of as many by chance", r.P, "probability", r.N).against(s4P),
			}
		},
	}
}
