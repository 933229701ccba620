// Package members makes hosts one cluster: the cluster's certificate authority and
// the certificates of hosts and administrators, one-time join tokens, the
// host's configuration file, init and join, and the etcd that the binary embeds.
//
// The caller starts what Init and Join return (systemd units), mounts the
// Joiner's handler on the API's TLS listener, and keeps tokens in the store:
// this package sees the store only through the small interfaces it declares.
//
// Everything between hosts is TLS 1.3 with certificates of the cluster's own CA. A
// host's private key never leaves it. The CA's private key lives on the hosts
// that are etcd members, so that any of them can admit a host; it travels to a new
// member inside the join response, over a connection pinned to the CA by the token.
package members
