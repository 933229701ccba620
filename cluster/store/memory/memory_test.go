package memory_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/cluster/store/storetest"
)

var _ store.Backend = (*memory.Store)(nil)

func TestContract(t *testing.T) {
	for _, c := range storetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memory.New(memory.Options{Kind: true})
				defer s.Close()
				c.Run(t, s)
			})
		})
	}
}

func TestContractUnkind(t *testing.T) {
	for _, c := range storetest.Cases() {
		if !c.Unkind {
			continue
		}
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("%s/%d", c.Name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := memory.New(memory.Options{Seed: seed})
					defer s.Close()
					c.Run(t, s)
				})
			})
		}
	}
}
