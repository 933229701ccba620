package daemon

import (
	"errors"
	"strings"
	"testing"

	"flotilla/agent"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

// TestRefusedVersionIsToldAsSuch: the agent keeps a life that it has only if it hears that
// the version is why it may not announce itself.
func TestRefusedVersionIsToldAsSuch(t *testing.T) {
	backend := memory.New(memory.Options{Kind: true})
	t.Cleanup(backend.Close)
	st := store.New(backend, "", store.Options{})
	if _, err := st.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := presence{store: st, host: cluster.HostID(strings.Repeat("a", 32)), version: "0.1.0"}
	if _, err := other.Announce(t.Context(), cluster.Alive{Boot: "b", Nonce: "n", Version: "0.1.0"}, agent.Lease{}); err != nil {
		t.Fatal(err)
	}
	p := presence{store: st, host: cluster.HostID(strings.Repeat("b", 32)), version: "0.3.0"}
	if _, err := p.Announce(t.Context(), cluster.Alive{Boot: "b", Nonce: "m", Version: "0.3.0"}, agent.Lease{}); !errors.Is(err, agent.ErrRefused) {
		t.Errorf("Announce() two minor versions ahead = %v, want agent.ErrRefused", err)
	}
}
