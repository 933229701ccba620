package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// webhook posts what became of reboots to where an operator wants it. Its errors do not hold the URL, in which many
// services have a key.
type webhook struct {
	client  *http.Client
	version string
}

// webhookWithin bounds one post.
const webhookWithin = 10 * time.Second

func newWebhook(version string) webhook {
	return webhook{version: version, client: &http.Client{
		Timeout:       webhookWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Post is leader.Poster: an answer of 200 to 299 takes the body.
func (w webhook) Post(ctx context.Context, to string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return errors.New("its URL is none that can be posted to")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "flotilla/"+w.version)
	resp, err := w.client.Do(r)
	var at *url.Error
	switch {
	case errors.As(err, &at) && at.Timeout():
		return fmt.Errorf("no answer within %s", webhookWithin)
	case errors.As(err, &at):
		return at.Err
	case err != nil:
		return err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
