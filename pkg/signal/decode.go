package signal

import (
	"fmt"
	"strconv"
	"strings"
)

// Record is a revision of a signal as signals.v1 and self.v1 carry it, for those
// who read these topics: what AppendJSON wrote, or another writer, so that nothing
// in it is checked. Times are ms since the epoch; nil is unknown.
type Record struct {
	// Kind is KindSignal or KindSelf.
	Kind   string `json:"kind"`
	Tenant string `json:"tenant"`
	// ScopeKind, Scope and Team are those of a KindSignal, Subject that of a
	// KindSelf.
	ScopeKind        string       `json:"scope_kind"`
	Scope            string       `json:"scope"`
	Team             string       `json:"team"`
	Subject          string       `json:"subject,omitzero"`
	ID               string       `json:"signal_id"`
	Rev              uint32       `json:"rev"`
	W                int64        `json:"w"`
	Code             string       `json:"code"`
	Title            string       `json:"title"`
	Label            string       `json:"label"`
	Severity         string       `json:"severity"`
	Status           string       `json:"status"`
	OpenedAt         int64        `json:"opened_at"`
	UpdatedAt        int64        `json:"updated_at"`
	ResolvedAt       *int64       `json:"resolved_at"`
	Question         string       `json:"question"`
	CostAtStakeNanos *int64       `json:"cost_at_stake_nanos"`
	Evidence         []FactRecord `json:"evidence"`
	Formula          string       `json:"formula"`
	ConfigVersion    uint64       `json:"config_version"`
}

// FactRecord is a line of a Record's evidence.
type FactRecord struct {
	Fact             string   `json:"fact"`
	Statistic        string   `json:"statistic"`
	Value            *float64 `json:"value"`
	Unit             string   `json:"unit"`
	Threshold        *float64 `json:"threshold"`
	N                int64    `json:"n"`
	Window           string   `json:"window"`
	LookAlikeChecked []string `json:"look_alike_checked"`
}

// String is the fact in a line: what was measured, over what, compared with what,
// and which innocent explanations were looked for.
func (f *FactRecord) String() string {
	var b strings.Builder
	b.WriteString(f.Statistic)
	b.WriteString(": ")
	b.WriteString(quantity(f.Value, f.Unit))
	if f.Threshold != nil {
		b.WriteString(", asked from " + quantity(f.Threshold, f.Unit))
	}
	fmt.Fprintf(&b, " (n = %d", f.N)
	if f.Window != "" {
		b.WriteString(", " + f.Window)
	}
	b.WriteString(")")
	if len(f.LookAlikeChecked) > 0 {
		b.WriteString("; looked for: " + strings.Join(f.LookAlikeChecked, ", "))
	}
	return b.String()
}

func quantity(v *float64, unit string) string {
	if v == nil {
		return "unknown"
	}
	return strings.TrimSpace(strconv.FormatFloat(*v, 'f', -1, 64) + " " + unit)
}
