package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// lockListener is where FleetLock clients are answered besides the API.
type lockListener struct {
	net.Listener
	handler http.Handler
	tls     bool
}

// listenLock opens it; nil = there is none.
func (d *Daemon) listenLock(ctx context.Context) (*lockListener, error) {
	f := d.opt.Config.Reboot.FleetLock
	if f.Address == "" {
		return nil, nil
	}
	if what, hint := f.Check(); what != "" {
		return nil, fmt.Errorf("FleetLock's address %s: %s (%s)", f.Address, what, hint)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", f.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for FleetLock clients: %w", err)
	}
	return &lockListener{Listener: l, handler: d.api.FleetLock(d.lockToken), tls: f.TLS}, nil
}
