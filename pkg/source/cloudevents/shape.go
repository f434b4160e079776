package cloudevents

import (
	"reflect"
	"strings"
	"sync"
)

// names are the members that a shape may show: those that are read.
var names = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for _, v := range []any{
		attributes{}, usageData{}, tokens{}, cost{}, outcomeData{}, subject{}, size{}, links{}, person{},
	} {
		t := reflect.TypeOf(v)
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			set[name] = true
		}
	}
	return set
})

func known(name string) bool { return names()[name] }
