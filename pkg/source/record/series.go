package record

import (
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// maxSeriesValue bounds the strings of a series: longer ones are content.
const maxSeriesValue = 256

// Series spells attributes in one string whatever their order, as a part of a
// natural key: it tells records apart that carry no id. E-mail addresses, long
// strings, lists and maps are left out.
func Series(maps ...pcommon.Map) string {
	var parts []string
	for _, m := range maps {
		for key, value := range m.All() {
			switch value.Type() {
			case pcommon.ValueTypeStr:
				if s := value.Str(); len(s) <= maxSeriesValue && !strings.Contains(s, "@") {
					parts = append(parts, key+"\x00"+s)
				}
			case pcommon.ValueTypeInt, pcommon.ValueTypeDouble, pcommon.ValueTypeBool:
				parts = append(parts, key+"\x00"+value.AsString())
			default:
			}
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "\x01")
}
