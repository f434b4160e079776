package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/keyring"
	"github.com/goodhartlabs/goodhart/services/prices"
)

// books is everything that is read from files: one consistent set, used by a
// request from its beginning to its end. Immutable.
type books struct {
	keys    *keychain
	ring    event.Keyring
	stamper *event.Stamper
	seen    []fingerprint
}

// library holds the books in force and looks for newer ones. The books may be
// read by any goroutine; one goroutine reloads.
type library struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	current atomic.Pointer[books]
	// failed is what the files looked like when they were last found bad, so
	// that one bad file is one line in the log.
	failed []fingerprint
}

// openLibrary reads the files for the first time; here a bad one is fatal.
func openLibrary(cfg Config, log *slog.Logger, m *metrics) (*library, error) {
	l := &library{cfg: cfg, log: log, metrics: m}
	b, err := readBooks(cfg)
	if err != nil {
		return nil, err
	}
	l.put(b)
	return l, nil
}

func (l *library) put(b *books) {
	l.current.Store(b)
	l.metrics.loaded.SetToCurrentTime()
}

// run looks at the files every interval until ctx ends.
func (l *library) run(ctx context.Context) {
	look := time.NewTicker(l.cfg.ReloadInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			l.reload()
		}
	}
}

// reload reads the files if one of them changed. What cannot be used leaves the
// books in force as they are.
func (l *library) reload() {
	now := fingerprints(l.cfg)
	old := l.current.Load()
	if equal(now, old.seen) || equal(now, l.failed) {
		return
	}
	b, err := readBooks(l.cfg)
	if err == nil {
		err = b.sameKeys(old)
	}
	if err != nil {
		l.failed = now
		l.metrics.reloads.WithLabelValues("failed").Inc()
		l.log.Error("reload files, the old ones stay in force", "error", err)
		return
	}
	l.failed = nil
	l.put(b)
	l.metrics.reloads.WithLabelValues("done").Inc()
	l.log.Info("files reloaded", "keys", b.keys.size)
}

// sameKeys refuses a keyring that changes a tenant's key: all its pseudonyms and
// conversations would become new ones. Tenants may come and go.
func (b *books) sameKeys(old *books) error {
	var errs []error
	for tenant, key := range b.ring {
		if was, ok := old.ring[tenant]; ok && !bytes.Equal(was, key) {
			errs = append(errs, fmt.Errorf("keyring: the key of tenant %q changed, which needs a restart", tenant))
		}
	}
	return errors.Join(errs...)
}

// readBooks reads all files. Its error joins the problems of all of them.
func readBooks(cfg Config) (*books, error) {
	// Look first: a file that changes while it is read is read again.
	b := &books{seen: fingerprints(cfg)}
	var errs []error
	ring, err := readKeyring(cfg)
	errs = append(errs, err)
	b.ring = ring
	var keys keyFile
	if err := config.Read(cfg.Keys, &keys); err != nil {
		errs = append(errs, fmt.Errorf("keys_file: %w", err))
	} else if b.keys, err = newKeychain(keys, ring); err != nil {
		errs = append(errs, fmt.Errorf("keys_file %s: %w", cfg.Keys, err))
	}
	book, err := prices.Load(cfg.Prices)
	errs = append(errs, err)
	people, err := readPeople(cfg.People)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var options []event.Option
	if cfg.Content == ContentOff {
		options = append(options, event.WithoutContent())
	}
	b.stamper = event.NewStamper(ring, book, people, options...)
	return b, nil
}

func readKeyring(cfg Config) (event.Keyring, error) {
	if cfg.KeyringFile != "" {
		return keyring.Read(cfg.KeyringFile)
	}
	keys, err := keyring.Decode(cfg.Keyring)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return keys, nil
}

func readPeople(path string) (*identity.Directory, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // the nil Directory knows nobody
	}
	f, err := readPeopleFile(path)
	if err != nil {
		return nil, fmt.Errorf("people_file %s: %w", path, err)
	}
	people, err := identity.New(f)
	if err != nil {
		return nil, fmt.Errorf("people_file %s: %w", path, err)
	}
	return people, nil
}

func readPeopleFile(path string) (identity.File, error) {
	var f identity.File
	if !strings.HasSuffix(path, ".csv") {
		return f, config.Read(path, &f)
	}
	r, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer func() { _ = r.Close() }()
	return identity.ReadCSV(r)
}

// fingerprint is how a file looks from outside.
type fingerprint struct {
	info fs.FileInfo // nil if it cannot be looked at
}

// fingerprints looks at all files of the configuration.
func fingerprints(cfg Config) []fingerprint {
	var all []fingerprint
	for _, path := range []string{cfg.Keys, cfg.People, cfg.Prices, cfg.KeyringFile} {
		f := fingerprint{}
		if info, err := os.Stat(path); err == nil {
			f.info = info
		}
		all = append(all, f)
	}
	return all
}

// equal says whether files look the same: same identity, size and time.
func equal(a, b []fingerprint) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i].info, b[i].info
		switch {
		case x == nil && y == nil:
		case x == nil || y == nil, !os.SameFile(x, y), x.Size() != y.Size(), !x.ModTime().Equal(y.ModTime()), x.Mode() != y.Mode():
			return false
		}
	}
	return true
}
