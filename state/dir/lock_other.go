//go:build !unix

package dir

import (
	"context"
	"fmt"

	"tidemark.dev/tidemark/state"
)

// lock is not built for systems without flock(2).
func lock(context.Context, string) (unlock func(), err error) {
	return nil, fmt.Errorf("%w: a directory can keep a ledger only on a Unix system", state.ErrRefused)
}
