package tenant

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/signal"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// fill gives every field of v a value of its own that is not zero.
func fill(t *testing.T, v reflect.Value, n *int64) {
	t.Helper()
	*n++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(*n)
	case reflect.Uint32:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.String:
		v.SetString("of " + string(rune('a'+*n%26)))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	default:
		t.Fatalf("cannot fill %s", v.Type())
	}
}

// Everything that the evaluation of signals remembers comes through a snapshot.
func TestSignalsAreRemembered(t *testing.T) {
	var want signal.State
	var n int64
	fill(t, reflect.ValueOf(&want).Elem(), &n)
	body, err := saveSignals(&want).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	var saved goodhartv1.SignalState
	if err := saved.UnmarshalVT(body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, loadSignals(&saved)); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}
