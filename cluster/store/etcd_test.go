package store_test

import (
	"context"
	"net/url"
	"os"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"flotilla/cluster/store"
	"flotilla/cluster/store/storetest"
)

var _ store.Backend = (*store.Etcd)(nil)

// member is an etcd of this process.
type member struct {
	*embed.Etcd
	cfg *embed.Config
}

func (m member) endpoint() string { return "http://" + m.Clients[0].Addr().String() }

// embedConfig is a quick single member on ports of its own, without fsync.
func embedConfig(tb testing.TB) *embed.Config {
	tb.Helper()
	cfg := embed.NewConfig()
	cfg.Name = "m"
	cfg.Dir = tb.TempDir()
	cfg.LogLevel = "error"
	cfg.LogOutputs = []string{os.DevNull}
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4 // the least there is: the race detector makes it slow
	any := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{any}, []url.URL{any}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{any}, []url.URL{any}
	cfg.InitialCluster = "m=http://127.0.0.1:0"
	return cfg
}

func startMember(tb testing.TB, cfg *embed.Config) member {
	tb.Helper()
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		tb.Fatalf("start etcd: %v", err)
	}
	tb.Cleanup(e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(20 * time.Second):
		tb.Fatal("etcd was not ready within 20 s")
	}
	return member{e, cfg}
}

func dial(tb testing.TB, endpoints ...string) *store.Etcd {
	tb.Helper()
	b, err := store.DialEtcd(context.Background(), store.EtcdOptions{Endpoints: endpoints})
	if err != nil {
		tb.Fatalf("DialEtcd(%v): %v", endpoints, err)
	}
	tb.Cleanup(b.Close)
	return b
}

func TestEtcdContract(t *testing.T) {
	m := startMember(t, embedConfig(t))
	b := dial(t, m.endpoint())
	storetest.Run(t, func(*testing.T) store.Backend { return b })
}
