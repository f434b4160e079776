package record

import (
	"encoding/json"
	"math"
	"testing"
)

func TestObject(t *testing.T) {
	o := Open([]byte("x"))
	o.String("s", `a"b`)
	o.Int("i", -3)
	o.Uint("u", math.MaxUint64)
	o.Known("k", 0, true)
	o.Known("n", 5, false)
	o.Bool("b", true)
	o.Number("f", 1.0/3, true)
	o.Strings("l", []string{"a", "b\n"})
	o.Strings("e", nil)
	o.Value("v", func(dst []byte) []byte {
		inner := Open(dst)
		inner.Int("a", 1)
		inner.Int("b", 2)
		return inner.Close()
	})
	o.Int("last", 1)
	want := `x{"s":"a\"b","i":-3,"u":18446744073709551615,"k":0,"n":null,"b":true,"f":0.333333,` +
		`"l":["a","b\u000a"],"e":[],"v":{"a":1,"b":2},"last":1}`
	if got := string(o.Close()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	empty := Open(nil)
	if got := string(empty.Close()); got != "{}" {
		t.Errorf("an empty object is %s", got)
	}
}

func TestNumber(t *testing.T) {
	f := func(value float64, known bool, want string) {
		t.Helper()
		o := Open(nil)
		o.Number("f", value, known)
		got := o.Close()
		if string(got) != `{"f":`+want+`}` || !json.Valid(got) {
			t.Errorf("%v, %v: %s, want %s", value, known, got, want)
		}
	}
	f(0.5, true, "0.5")
	f(0.5, false, "null")
	f(0, true, "0")
	f(math.Copysign(0, -1), true, "0")
	f(-2.0/3, true, "-0.666667")
	f(123456, true, "123456")
	f(1234567, true, "1.23457e+06")
	f(4e-20, true, "4e-20") // small is not nothing
	f(math.NaN(), true, "null")
	f(math.Inf(-1), true, "null")
}

// Whatever a label holds, the record is valid JSON that says the same.
func FuzzString(f *testing.F) {
	f.Add("team")
	f.Add("a\"b\\c\x00\x1f\x7f\u2028é")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(AppendString(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		if want := string([]rune(s)); got != want {
			t.Fatalf("%q became %q", s, got)
		}
	})
}
