package config

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type sample struct {
	Name  string `yaml:"name"`
	Count int    `yaml:"count"`
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(name string) (string, bool) {
	v, ok := map[string]string{"SECRET": "s3cret"}[name]
	return v, ok
}

func TestLoad(t *testing.T) {
	got := sample{Count: 3}
	if err := Load(write(t, "name: ${SECRET}\n"), &got, env); err != nil {
		t.Fatal(err)
	}
	if want := (sample{Name: "s3cret", Count: 3}); got != want {
		t.Errorf("got %+v, want %+v: defaults stay, references resolve", got, want)
	}
	if err := Load("", &got, env); err != nil {
		t.Errorf("no file: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		err := Load(write(t, text), &sample{}, env)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%q) = %v, want an error with %q", text, err, want)
		}
	}
	f("nam: x\n", "field nam not found")
	f("count: many\n", "cannot unmarshal")
	f("name: ${NOPE}\ncount: ${NADA}\n", "NADA is not set")
	f("name: [\n", "c.yaml")
	f("name: x\n---\ncount: 3\n", "more than one YAML document")
}

func TestCommentsHoldNoReferences(t *testing.T) {
	var got sample
	if err := Load(write(t, "# take it from ${NOWHERE}\nname: a#b # or ${ELSEWHERE}\n"), &got, env); err != nil || got.Name != "a#b" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestUnder(t *testing.T) {
	err := Under("rules", errors.Join(errors.New("a: 1"), errors.Join(errors.New("b: 2"), errors.New("c: 3"))))
	if want := "rules.a: 1\nrules.b: 2\nrules.c: 3"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := Under("rules", nil); err != nil {
		t.Errorf("nothing became %v", err)
	}
}

// Flags stand before, between and behind words; the first error ends it, of a
// word before that of a flag behind it.
func TestParseWords(t *testing.T) {
	parse := func(args ...string) (words []string, loud bool, err error) {
		f := flag.NewFlagSet("", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		f.BoolVar(&loud, "loud", false, "")
		err = ParseWords(f, args, func(word string) error {
			if word == "bad" {
				return errors.New("a bad word")
			}
			words = append(words, word)
			return nil
		})
		return words, loud, err
	}
	for _, args := range [][]string{{"--loud", "a", "b"}, {"a", "--loud", "b"}, {"a", "b", "--loud"}} {
		if words, loud, err := parse(args...); !slices.Equal(words, []string{"a", "b"}) || !loud || err != nil {
			t.Errorf("%q: words %q, loud %v, error %v", args, words, loud, err)
		}
	}
	if _, _, err := parse("a", "bad", "--unknown"); err == nil || err.Error() != "a bad word" {
		t.Errorf("error %v, want that of the word", err)
	}
	if words, _, err := parse("a", "--unknown", "bad"); err == nil || len(words) != 1 {
		t.Errorf("words %q, error %v, want that of the flag", words, err)
	}
}
