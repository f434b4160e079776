package truth

// rates are nano-USD per token: a dollar per million tokens is 1,000.
type rates struct {
	input, read, write, output int64
}

// model is what the truth knows of a model: the name under which usage of it is
// stored, its price, and the price of requests whose prompt is longer than
// longFrom tokens. A zero price is unknown.
type model struct {
	name     string
	price    rates
	longFrom int64
	long     rates
}

// models lists the models of the traffic by the name that tools use. The
// prices are Anthropic's list prices for the period, cache writes for five
// minutes. They are written down here a second time on purpose: the truth shares
// nothing with what it judges.
func models() map[string]model {
	sonnet := model{
		name:     "claude-sonnet-4-5",
		price:    rates{input: 3_000, read: 300, write: 3_750, output: 15_000},
		longFrom: 200_000,
		long:     rates{input: 6_000, read: 600, write: 7_500, output: 22_500},
	}
	haiku := model{name: "claude-haiku-4-5", price: rates{input: 1_000, read: 100, write: 1_250, output: 5_000}}
	return map[string]model{
		"claude-sonnet-4-5-20250929":                  sonnet,
		"claude-sonnet-4-5-20250929[1m]":              sonnet,
		"claude-opus-4-5-20251101":                    {name: "claude-opus-4-5", price: rates{input: 5_000, read: 500, write: 6_250, output: 25_000}},
		"claude-opus-4-1-20250805":                    {name: "claude-opus-4-1", price: rates{input: 15_000, read: 1_500, write: 18_750, output: 75_000}},
		"claude-haiku-4-5-20251001":                   haiku,
		"us.anthropic.claude-haiku-4-5-20251001-v1:0": haiku,
		"quartz-preview-1":                            {name: "quartz-preview-1"},
		"local-coder-32b":                             {name: "local-coder-32b"},
	}
}

// cost is the price of a whole request, 0 if unknown.
func (m model) cost(input, read, write, output int64) int64 {
	r := m.price
	if m.longFrom > 0 && input+read+write > m.longFrom {
		r = m.long
	}
	return input*r.input + read*r.read + write*r.write + output*r.output
}
