package collector

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// keyFile is the file of API keys.
type keyFile struct {
	Keys []keyEntry `yaml:"keys"`
}

// keyEntry is one API key. Its secret is not in the file, only the SHA-256.
type keyEntry struct {
	// ID names the key in events, logs and metrics.
	ID string `yaml:"id"`
	// SHA256 is the hash of the secret in hex.
	SHA256 string `yaml:"sha256"`
	Tenant string `yaml:"tenant"`
	// Accounting is billable (the default), observational, backfill or reconcile.
	Accounting string `yaml:"accounting"`
	// CountsAlone lists the signals (log, span, metric) that count without a
	// conversation id; default span.
	CountsAlone []string `yaml:"counts_alone"`
	// Person is the people-file id of the key's owner.
	Person string `yaml:"person"`
	// Service marks a machine's key.
	Service bool `yaml:"service"`
	// Source restricts the key to what one adapter decodes, e.g. claude-code, so
	// that a tool's key cannot announce outcomes. Empty allows all.
	Source string `yaml:"source"`
}

// credential is a key in force.
type credential struct {
	event.Credential
	source string
	hash   [sha256.Size]byte
}

// keychain finds credentials by secret. Immutable.
type keychain struct {
	// byPrefix narrows the search down; what decides is compared in constant time.
	byPrefix map[uint64][]*credential
	size     int
}

func newKeychain(f keyFile, tenants event.Keyring) (*keychain, error) {
	k := &keychain{byPrefix: map[uint64][]*credential{}, size: len(f.Keys)}
	var errs []error
	ids := map[string]bool{}
	hashes := map[[sha256.Size]byte]bool{}
	for i, entry := range f.Keys {
		cred, err := entry.credential()
		if err != nil {
			errs = append(errs, fmt.Errorf("keys[%d]: %w", i, err))
			continue
		}
		switch {
		case ids[cred.ID]:
			errs = append(errs, fmt.Errorf("keys[%d].id: %q is given twice", i, cred.ID))
		case hashes[cred.hash]:
			errs = append(errs, fmt.Errorf("keys[%d].sha256: the secret is given twice", i))
		case tenants[cred.Tenant] == nil:
			errs = append(errs, fmt.Errorf("keys[%d].tenant: the keyring has no key for %q", i, cred.Tenant))
		}
		ids[cred.ID], hashes[cred.hash] = true, true
		prefix := binary.BigEndian.Uint64(cred.hash[:])
		k.byPrefix[prefix] = append(k.byPrefix[prefix], cred)
	}
	if len(f.Keys) == 0 {
		errs = append(errs, errors.New("keys: at least one key is needed"))
	}
	return k, errors.Join(errs...)
}

func (e keyEntry) credential() (*credential, error) {
	var errs []error
	hash, err := hex.DecodeString(e.SHA256)
	if err != nil || len(hash) != sha256.Size {
		errs = append(errs, errors.New("sha256: not 64 hex digits"))
	}
	if !event.IsLabel(e.ID) {
		errs = append(errs, fmt.Errorf("id: %q is not a label", e.ID))
	}
	if !event.IsLabel(e.Tenant) {
		errs = append(errs, fmt.Errorf("tenant: %q is not a label", e.Tenant))
	}
	if e.Source != "" && !event.IsLabel(e.Source) {
		errs = append(errs, fmt.Errorf("source: %q is not a label", e.Source))
	}
	if e.Person != "" && e.Service {
		errs = append(errs, errors.New("service: a person's key is not a machine's"))
	}
	accounting, err := parseAccounting(e.Accounting)
	errs = append(errs, err)
	alone, err := parseSignals(e.CountsAlone)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &credential{
		Credential: event.Credential{
			ID:          e.ID,
			Tenant:      e.Tenant,
			Accounting:  accounting,
			CountsAlone: alone,
			Person:      e.Person,
			Service:     e.Service,
		},
		source: e.Source,
		hash:   [sha256.Size]byte(hash),
	}, nil
}

func parseAccounting(s string) (goodhartv1.Accounting, error) {
	switch s {
	case "", "billable":
		return goodhartv1.Accounting_ACCOUNTING_BILLABLE, nil
	case "observational":
		return goodhartv1.Accounting_ACCOUNTING_OBSERVATIONAL, nil
	case "backfill":
		return goodhartv1.Accounting_ACCOUNTING_BACKFILL, nil
	case "reconcile":
		return goodhartv1.Accounting_ACCOUNTING_RECONCILE, nil
	default:
		return 0, fmt.Errorf("accounting: %q is not one of billable, observational, backfill, reconcile", s)
	}
}

// parseSignals reads counts_alone; nil means the default, an empty list none.
func parseSignals(names []string) ([]goodhartv1.Signal, error) {
	if names == nil {
		return []goodhartv1.Signal{goodhartv1.Signal_SIGNAL_SPAN}, nil
	}
	signals := make([]goodhartv1.Signal, 0, len(names))
	for _, name := range names {
		switch name {
		case "log":
			signals = append(signals, goodhartv1.Signal_SIGNAL_LOG)
		case "span":
			signals = append(signals, goodhartv1.Signal_SIGNAL_SPAN)
		case "metric":
			signals = append(signals, goodhartv1.Signal_SIGNAL_METRIC)
		default:
			return nil, fmt.Errorf("counts_alone: %q is not one of log, span, metric", name)
		}
	}
	return signals, nil
}

// authenticate finds the key of an Authorization header. Wrong and missing keys
// get the same answer.
func (k *keychain) authenticate(authorization string) (*credential, *refusal) {
	scheme, secret, _ := strings.Cut(authorization, " ")
	secret = strings.TrimSpace(secret)
	hash := sha256.Sum256([]byte(secret))
	var found *credential
	for _, cred := range k.byPrefix[binary.BigEndian.Uint64(hash[:])] {
		if subtle.ConstantTimeCompare(cred.hash[:], hash[:]) == 1 {
			found = cred
		}
	}
	if found == nil || secret == "" || !strings.EqualFold(scheme, "bearer") {
		return nil, refuse(reasonUnauthenticated, "a valid API key is needed: Authorization: Bearer <key>")
	}
	return found, nil
}
