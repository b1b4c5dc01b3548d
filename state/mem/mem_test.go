package mem_test

import (
	"testing"

	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/mem"
	"tidemark.dev/tidemark/state/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) state.Store { return mem.Open(mem.Options{}) })
}
