package testbed

import (
	"context"
	"fmt"
	"strings"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/load"
)

// LoadRate is how many requests Load sends a second.
const LoadRate = 100

// Load sends requests to the instances 1 to n of a template of web servers until ctx ends or it is stopped;
// instance 1 listens on port 8081, and so on. It begins when all of them are endpoints.
func (b *Bed) Load(ctx context.Context, family string, n int) (*load.Generator, error) {
	var daemons []*api.Client
	for _, h := range b.Hosts {
		c, err := Client(h)
		if err != nil {
			return nil, err
		}
		daemons = append(daemons, c)
	}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%s@%d.service", family, i+1))
	}
	ends := load.Follow(ctx, daemons, names, func(unit string) string {
		return "808" + strings.TrimSuffix(strings.TrimPrefix(unit, family+"@"), ".service")
	})
	err := hosts.Wait(ctx, time.Minute, family+"@ can be reached", func(context.Context) error {
		if list := ends.List(); len(list) != n {
			return fmt.Errorf("endpoints are %v, want %d", list, n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return load.Start(ctx, load.Options{Endpoints: ends.List, Dial: b.Lab.DialContext, Rate: LoadRate}), nil
}
