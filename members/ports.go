package members

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
)

// portsFree refuses when another program listens where this host's daemons will: the agent,
// and the etcd member if there may be one. An address that this host does not have is not
// its business.
func portsFree(ctx context.Context, c Config, member bool) error {
	listens := []string{net.JoinHostPort(c.Address, strconv.Itoa(c.APIPort))}
	if member {
		for _, port := range []int{c.Etcd.ClientPort, c.Etcd.PeerPort} {
			for _, u := range listenURLs(c.Address, port) {
				listens = append(listens, u.Host)
			}
		}
	}
	for _, address := range listens {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		switch {
		case err == nil:
			err = l.Close()
		case !errors.Is(err, syscall.EADDRINUSE):
			continue
		default:
			err = &Problem{What: address + " is taken by another program", Hint: "'ss -ltnp' shows it; end it first", Err: err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
