package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/members"
)

// etcd is a member with its data on disk and mutual TLS, as flotilla init makes it, in
// this process.
type etcd struct {
	dir      string
	identity *members.Identity
	endpoint string
	ctx      context.Context
	cancel   context.CancelFunc
	ended    chan error

	mu      sync.Mutex
	clients []*store.Etcd
}

func startEtcd(ctx context.Context) (*etcd, error) {
	dir, err := os.MkdirTemp("", "flotilla-bench-etcd-")
	if err != nil {
		return nil, err
	}
	e := &etcd{dir: dir, ended: make(chan error, 1)}
	e.ctx, e.cancel = context.WithCancel(ctx)
	ports, err := freePorts()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	made, err := members.Init(ctx, members.InitOptions{
		Paths: members.Paths{Etc: filepath.Join(dir, "etc"), Var: filepath.Join(dir, "var")},
		Host:  cluster.HostID(fmt.Sprintf("%032x", 1)), Name: "bench", Address: "127.0.0.1", Ports: ports, Now: time.Now(),
	})
	if err == nil {
		e.identity, err = members.LoadIdentity(made.Config.PKI, time.Now())
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	e.endpoint = made.Config.Endpoints[0]
	member, ready := made.Config.EtcdMemberConfig(), make(chan struct{})
	member.Log, member.Ready = slog.New(slog.DiscardHandler), func() { close(ready) }
	go func() { e.ended <- members.RunEtcd(e.ctx, member) }()
	select {
	case <-ready:
		return e, nil
	case err := <-e.ended:
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
}

// freePorts finds ports that nobody listens on.
func freePorts() (members.Ports, error) {
	var got [3]int
	for i := range got {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return members.Ports{}, err
		}
		defer l.Close()
		got[i] = l.Addr().(*net.TCPAddr).Port
	}
	return members.Ports{API: got[0], Client: got[1], Peer: got[2]}, nil
}

// client is a connection of its own.
func (e *etcd) client() store.Backend {
	c, err := store.DialEtcd(e.ctx, store.EtcdOptions{Endpoints: []string{e.endpoint}, TLS: e.identity.ClientTLS()})
	if err != nil {
		panic(err) // only options without an endpoint are refused
	}
	e.mu.Lock()
	e.clients = append(e.clients, c)
	e.mu.Unlock()
	return c
}

// close ends the clients and the member and removes its data.
func (e *etcd) close() error {
	e.mu.Lock()
	for _, c := range e.clients {
		c.Close()
	}
	e.mu.Unlock()
	e.cancel()
	return errors.Join(<-e.ended, os.RemoveAll(e.dir))
}
