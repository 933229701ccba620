package members

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"flotilla/cluster"
)

// MachineID reads the systemd machine id of this host.
func MachineID(file string) (cluster.HostID, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", &Problem{File: file, What: "this host has no machine id", Hint: "run systemd-machine-id-setup", Err: err}
	}
	id, err := cluster.ParseHostID(strings.TrimSpace(string(raw)))
	if err != nil {
		return "", &Problem{File: file, What: "this host has no valid machine id", Hint: "remove the file and run systemd-machine-id-setup", Err: err}
	}
	return id, nil
}

// iface is a network interface with its addresses.
type iface struct {
	name  string
	addrs []netip.Addr
}

// localAddress finds the address by which the others reach this host: the one from which
// the default route leaves, or that of the only interface that has one.
func localAddress() (netip.Addr, error) {
	// Connecting a UDP socket sends nothing: it asks the kernel for the route.
	for _, to := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		if c, err := net.Dial("udp", to); err == nil {
			a := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
			c.Close()
			if usable(a) {
				return a, nil
			}
		}
	}
	list, err := interfaces()
	if err != nil {
		return netip.Addr{}, err
	}
	return onlyAddress(list)
}

// interfaces lists the interfaces that are up.
func interfaces() ([]iface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var out []iface
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", i.Name, err)
		}
		f := iface{name: i.Name}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				f.addrs = append(f.addrs, p.Addr().Unmap())
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// onlyAddress is the first usable address if one interface alone has any, bridges of
// container runtimes aside; IPv4 goes first.
func onlyAddress(list []iface) (netip.Addr, error) {
	var found []netip.Addr
	var names []string
	for _, i := range list {
		if containerBridge(i.name) {
			continue
		}
		good := slices.DeleteFunc(slices.Clone(i.addrs), func(a netip.Addr) bool { return !usable(a) })
		slices.SortStableFunc(good, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
		if len(good) > 0 {
			found = append(found, good[0])
			names = append(names, fmt.Sprintf("%s on %s", good[0], i.name))
		}
	}
	const hint = "say which address the other hosts reach: --address"
	switch len(found) {
	case 0:
		return netip.Addr{}, &Problem{What: "this host has no address beyond loopback", Hint: hint}
	case 1:
		return found[0], nil
	}
	return netip.Addr{}, &Problem{What: "this host has no default route and several addresses: " + strings.Join(names, ", "), Hint: hint}
}

// usable says whether other hosts could reach an address.
func usable(a netip.Addr) bool { return a.IsValid() && a.IsGlobalUnicast() }

func containerBridge(name string) bool {
	return slices.ContainsFunc([]string{"docker", "br-", "podman", "cni", "veth", "virbr"}, func(p string) bool { return strings.HasPrefix(name, p) })
}

// parseAddress reads an address that a person gave.
func parseAddress(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err == nil && (a.IsUnspecified() || a.Zone() != "") {
		err = errors.New("not an address of one host")
	}
	if err != nil {
		return netip.Addr{}, &Problem{What: fmt.Sprintf("address %q is no IP address of a host", text), Hint: "write it like --address 10.0.0.1, without port", Err: err}
	}
	return a.Unmap(), nil
}
