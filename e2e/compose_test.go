//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flotilla/e2e/testbed"
)

// TestComposeToRunning: what render makes of a Compose file goes through the cluster, with each runtime: placed,
// one a host because of its port, reached, its words in the journal, and gone without a trace.
func TestComposeToRunning(t *testing.T) {
	ctx := scenario(t)
	for i, runtime := range []string{"podman", "docker"} {
		t.Run(runtime, func(t *testing.T) { composed(t, ctx, runtime, 8090+i) })
	}
}

const stall = `name: %s
services:
  web:
    image: app:1
    command: ["/app", "-name", "says 100%% of it", "-port", "8080"]
    ports: ["%d:8080"]
    restart: always
    stop_grace_period: 5s
    deploy: {replicas: 3}
  worker:
    image: app:1
    command: ["/app", "-name", "worker"]
    network_mode: none
`

func composed(t *testing.T, ctx context.Context, runtime string, port int) {
	dir, project := t.TempDir(), runtime+"-stall"
	file, err := testbed.Put(dir, "compose.yaml", fmt.Sprintf(stall, project, port))
	if err != nil {
		t.Fatal(err)
	}
	rendered := filepath.Join(dir, "units")
	flotilla(t, ctx, "render", "-f", file, "--runtime", runtime, "-o", rendered)
	flotilla(t, ctx, "start", filepath.Join(rendered, project+".web@{1..3}"), filepath.Join(rendered, project+".worker@1"))
	placed := running(t, ctx, bed.Hosts[0], project+".*")
	worker := project + ".worker@1.service"
	if len(placed) != 4 || placed[worker].Host == "" {
		t.Errorf("%d units run, want three and %s", len(placed), worker)
	}
	webs := maps.Clone(placed)
	delete(webs, worker)
	apart(t, webs)
	client := http.Client{Transport: bed.Lab.HTTPTransport(), Timeout: 5 * time.Second}
	for name, i := range webs {
		awaitLog(t, ctx, bed.Hosts[0], name, "app says 100% of it version  is up")
		answer, err := ask(ctx, &client, fmt.Sprintf("http://%s:%d/", hostByID(t, i.Host).IP(), port))
		if err != nil || !strings.Contains(answer, "name=says 100% of it") {
			t.Errorf("%s on %s answers %q, %v", name, i.HostName, answer, err)
		}
	}
	flotilla(t, ctx, "stop", project+".web@{1..3}", worker)
	for _, h := range bed.Hosts {
		if out := exec(t, ctx, h, runtime, "ps", "--all", "--quiet"); out != "" {
			t.Errorf("%s: after stop there are containers %q", h.Name(), out)
		}
	}
}

// ask is one request, and its answer.
func ask(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}
