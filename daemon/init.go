package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"flotilla/cluster/store"
	"flotilla/members"
)

// InitStore gives the store of a new cluster its identity; that of a store which has one stays.
func InitStore(ctx context.Context, c members.Config, log *slog.Logger) error {
	backend, err := dialAsHost(ctx, c, log)
	if err != nil {
		return err
	}
	defer backend.Close()
	if _, err := store.New(backend, c.Prefix, store.Options{Log: log}).Init(ctx); err != nil {
		return fmt.Errorf("init the store: %w", err)
	}
	return nil
}

// RunAlone runs a whole cluster in this process: etcd, agent, leader and API of one host.
// ready is called once its API answers.
func RunAlone(ctx context.Context, opt Options, ready func()) error {
	release, err := lockHost(opt.RunDir)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	up := make(chan struct{})
	etcd := opt.Config.EtcdMemberConfig()
	etcd.Log = opt.Log
	etcd.Ready = func() { close(up) }
	group.Go(func() error { return members.RunEtcd(ctx, etcd) })
	group.Go(func() error {
		select {
		case <-up:
		case <-ctx.Done():
			return nil
		}
		if err := InitStore(ctx, opt.Config, opt.Log); err != nil {
			return err
		}
		d, err := New(ctx, opt)
		if err != nil {
			return err
		}
		defer d.close()
		d.ready = ready
		return d.run(ctx)
	})
	return errors.Join(group.Wait(), release())
}

// dialAsHost connects to the cluster's etcd with this host's certificate.
func dialAsHost(ctx context.Context, c members.Config, log *slog.Logger) (*store.Etcd, error) {
	identity, err := members.LoadIdentity(c.PKI, time.Now())
	if err != nil {
		return nil, err
	}
	etcd, err := etcdOptions(c, identity, log)
	if err != nil {
		return nil, err
	}
	return store.DialEtcd(ctx, etcd)
}
