package doctor

import (
	"context"
	"errors"

	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/purpose"
)

// checkPurposes reads the log of who may look at what concerns a person, as far as
// that takes no key.
func checkPurposes(ctx context.Context, b *bench) ([]Finding, error) {
	n, err := purpose.Intact(ctx, b.client, b.cfg.Kafka)
	if errors.Is(err, purpose.ErrBroken) {
		return []Finding{{
			Status: Fail, Found: oneLine(err), Want: "every record, each naming the one before it",
			Do: "find out who may write to " + schemas.TopicPurpose + " or delete from it, and take the right away; until the log is mended nobody but the person sees anything",
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	return []Finding{fine("%s, each naming the one before it", plural(int(n), "record", "records"))}, nil
}
