package evaluate

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/evaluate/folds"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// cache keeps runs in files under directories that are named after the organisation
// and the behaviour of the folds; an empty path keeps nothing.
type cache struct{ signals, cards string }

// openCache opens what the scenarios that are played need of it.
func openCache(ctx context.Context, cfg *Config, played []scenario) (cache, error) {
	var c cache
	base := cfg.organisation()
	if cfg.Cache == "" {
		return c, nil
	}
	signals := func(s scenario) bool { return s.Signals }
	cards := func(s scenario) bool { return !s.Signals }
	for _, of := range []struct {
		dir   *string
		whole bool
		asked bool
	}{
		{&c.signals, true, cfg.plays(runaways) || slices.ContainsFunc(played, signals)},
		{&c.cards, false, slices.ContainsFunc(played, cards)},
	} {
		if !of.asked {
			continue
		}
		now, err := behaviour(ctx, of.whole)
		if err != nil {
			return c, fmt.Errorf("open cache: %w", err)
		}
		*of.dir = filepath.Join(cfg.Cache, base.Hash()+"-"+now)
		if err := makeDir(*of.dir); err != nil {
			return c, err
		}
	}
	return c, nil
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // nothing secret
		return fmt.Errorf("open cache: %w", err)
	}
	return nil
}

// behaviour names what the simulator and the folds do now, with the ledger or
// without it: by what they publish about a small company, and by what the catalogues
// say.
func behaviour(ctx context.Context, whole bool) (string, error) {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, cacheFormat) // a hash takes everything
	if whole {
		_, _ = fmt.Fprintln(h, signal.Doc())
	}
	for _, check := range kpi.Catalogue() {
		_, _ = fmt.Fprintln(h, check.Name, check.Formula, check.MinimumN)
	}
	c := organisation.Default()
	c.People, c.Weeks, c.AnnouncedWeek, c.RequestsPerWeek = 200, 26, 18, 12
	c.Gamers.Prevalence, c.Gamers.Adaptive, c.LookAlikes.AgentOperator = .2, .2, .01
	o, err := organisation.New(1, c)
	if err != nil {
		return "", err
	}
	pipe := folds.New(func(topic string, body []byte) error {
		if whole || topic == schemas.TopicKPI {
			_, _ = h.Write(body)
		}
		return nil
	})
	pipe.Whole = whole
	err = through(ctx, o, pipe, func() {})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// cacheFormat changes with the type run.
const cacheFormat = 4

// path is where something of a seed lies, empty for nowhere.
func (c cache) path(name string, seed uint64, signals bool) string {
	dir := c.cards
	if signals {
		dir = c.signals
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, fmt.Sprintf("%s-%d.gob.gz", name, seed))
}

// kept returns what lies under a path, or else what is made, which lies there then.
func kept[T any](path string, produce func() (*T, error)) (*T, error) {
	if path == "" {
		return produce()
	}
	v, err := load[T](path)
	if v != nil || err != nil {
		return v, err
	}
	if v, err = produce(); err != nil {
		return nil, err
	}
	return v, store(path, v)
}

// load returns what was stored, nil if there is nothing.
func load[T any](path string) (*T, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load run: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("load run: %s: %w", path, err)
	}
	v := new(T)
	if err := gob.NewDecoder(z).Decode(v); err != nil {
		return nil, fmt.Errorf("load run: %s: %w", path, err)
	}
	return v, nil
}

// store writes a file under its name once it is whole.
func store(path string, v any) error {
	f, err := os.CreateTemp(filepath.Dir(path), "run-*")
	if err != nil {
		return fmt.Errorf("store run: %w", err)
	}
	z := gzip.NewWriter(f)
	err = errors.Join(gob.NewEncoder(z).Encode(v), z.Close(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("store run: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
