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

	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// cache keeps runs in files under a directory that is named after the organisation
// and the behaviour of the folds; an empty path keeps nothing.
type cache struct{ dir string }

func openCache(ctx context.Context, dir string, base organisation.Config) (cache, error) {
	if dir == "" {
		return cache{}, nil
	}
	now, err := behaviour(ctx)
	if err != nil {
		return cache{}, fmt.Errorf("open cache: %w", err)
	}
	c := cache{filepath.Join(dir, base.Hash()+"-"+now)}
	if err := os.MkdirAll(c.dir, 0o755); err != nil { //nolint:gosec // nothing secret
		return cache{}, fmt.Errorf("open cache: %w", err)
	}
	return c, nil
}

// behaviour names what the simulator and the folds do now: by what they publish
// about a small company, and by what the catalogues say.
func behaviour(ctx context.Context) (string, error) {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, cacheFormat, signal.Doc()) // a hash takes everything
	for _, check := range kpi.Catalogue() {
		_, _ = fmt.Fprintln(h, check.Name, check.Formula, check.MinimumN)
	}
	c := organisation.Default()
	c.People, c.Weeks, c.AnnouncedWeek, c.RequestsPerWeek = 200, 26, 18, 25
	c.Gamers.Prevalence, c.Gamers.Adaptive = .2, .2
	o, err := organisation.New(1, c)
	if err != nil {
		return "", err
	}
	pipe := newPipeline(func(topic string, body []byte) error {
		_, _ = fmt.Fprintln(h, topic)
		_, _ = h.Write(body)
		return nil
	})
	pipe.whole = true
	err = through(ctx, o, pipe, func() {})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// cacheFormat changes with the type run.
const cacheFormat = 1

func (c cache) path(scenario string, seed uint64) string {
	return filepath.Join(c.dir, fmt.Sprintf("%s-%d.gob.gz", scenario, seed))
}

// load returns a run that was stored, nil if there is none.
func (c cache) load(scenario string, seed uint64) (*run, error) {
	if c.dir == "" {
		return nil, nil
	}
	f, err := os.Open(c.path(scenario, seed))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load run: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("load run: %s: %w", f.Name(), err)
	}
	r := &run{}
	if err := gob.NewDecoder(z).Decode(r); err != nil {
		return nil, fmt.Errorf("load run: %s: %w", f.Name(), err)
	}
	return r, nil
}

// store writes a run under its name once it is whole.
func (c cache) store(r *run) error {
	if c.dir == "" {
		return nil
	}
	f, err := os.CreateTemp(c.dir, "run-*")
	if err != nil {
		return fmt.Errorf("store run: %w", err)
	}
	z := gzip.NewWriter(f)
	err = errors.Join(gob.NewEncoder(z).Encode(r), z.Close(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), c.path(r.Scenario, r.Seed))
	}
	if err != nil {
		return fmt.Errorf("store run: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
