// Package config reads the one strict YAML file of a role, and command lines whose
// flags stand among words.
package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// reference finds ${NAME}, and comments, in which it means nothing.
var reference = regexp.MustCompile(`(?m)(?:^|\s)#.*$|\$\{([A-Z_][A-Z0-9_]*)\}`)

// Load decodes the YAML file at path into the struct that into points to, over
// the defaults it already holds. ${NAME} stands for an environment variable, so
// that secrets stay out of the file; an unset one is an error. Unknown keys are
// errors. An empty path leaves the defaults.
func Load(path string, into any, getenv func(string) (string, bool)) error {
	if path == "" {
		return nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	var missing []error
	raw = reference.ReplaceAllFunc(raw, func(m []byte) []byte {
		name := string(reference.FindSubmatch(m)[1])
		if name == "" {
			return m
		}
		value, ok := getenv(name)
		if !ok {
			missing = append(missing, fmt.Errorf("config %s: environment variable %s is not set", path, name))
		}
		return []byte(value)
	})
	if len(missing) > 0 {
		return errors.Join(missing...)
	}
	return decode(path, raw, into)
}

// Read decodes a YAML file that holds no secrets: unknown keys are errors, and
// nothing stands for the environment.
func Read(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return decode(path, raw, into)
}

func decode(path string, raw []byte, into any) error {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one YAML document", path)
	}
	return nil
}

// Under puts a key in front of each problem that err joins.
func Under(key string, err error) error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s.%w", key, err)
	}
	var problems []error
	for _, problem := range joined.Unwrap() {
		problems = append(problems, Under(key, problem))
	}
	return errors.Join(problems...)
}

// ParseWords parses flags that may stand before, between and behind words, and
// hands over each word. It ends with the first error, of a flag or of word.
func ParseWords(f *flag.FlagSet, args []string, word func(string) error) error {
	for {
		if err := f.Parse(args); err != nil || f.NArg() == 0 {
			return err
		}
		if err := word(f.Arg(0)); err != nil {
			return err
		}
		args = f.Args()[1:]
	}
}
