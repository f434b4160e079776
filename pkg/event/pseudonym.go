package event

import "github.com/goodhartlabs/goodhart/pkg/identity"

// Pseudonym is the subject that the events of somebody carry, as Stamp makes it:
// with the tenant's key whoever knows an id can compute it, and nobody without.
func (k Keyring) Pseudonym(tenant string, who identity.Subject) (string, error) {
	key, err := k.Key(tenant)
	if err != nil {
		return "", err
	}
	return newHasher(key).hash(who.Prefix, who.Scope, who.Raw), nil
}
