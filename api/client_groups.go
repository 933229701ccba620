package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Groups lists the groups by name.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	var out []Group
	err := list(ctx, c, "/v1/groups", nil, func(g Group) error { out = append(out, g); return nil })
	return out, err
}

// Group is GET /v1/groups/NAME.
func (c *Client) Group(ctx context.Context, name string) (Group, error) {
	return get[Group](ctx, c, "/v1/groups/"+url.PathEscape(name), nil)
}

// PutGroup sets the group of g's name if it has this revision still; 0 = any, -1 = there must be none.
func (c *Client) PutGroup(ctx context.Context, g Group, ifMatch int64) (Group, error) {
	return sendIf[Group](ctx, c, http.MethodPut, "/v1/groups/"+url.PathEscape(g.Name), ifMatch, g)
}

// DeleteGroup ends a group; ifMatch is that of PutGroup.
func (c *Client) DeleteGroup(ctx context.Context, name string, ifMatch int64) error {
	_, err := sendIf[Group](ctx, c, http.MethodDelete, "/v1/groups/"+url.PathEscape(name), ifMatch, nil)
	return err
}

// Windows lists the windows by name.
func (c *Client) Windows(ctx context.Context) ([]Window, error) {
	var out []Window
	err := list(ctx, c, "/v1/windows", nil, func(w Window) error { out = append(out, w); return nil })
	return out, err
}

// Window is GET /v1/windows/NAME.
func (c *Client) Window(ctx context.Context, name string) (Window, error) {
	return get[Window](ctx, c, "/v1/windows/"+url.PathEscape(name), nil)
}

// NextOpenings are the next n openings of a window, with the present one.
func (c *Client) NextOpenings(ctx context.Context, name string, n int) ([]Opening, error) {
	var out []Opening
	err := list(ctx, c, "/v1/windows/"+url.PathEscape(name)+"/next", url.Values{"n": {strconv.Itoa(n)}}, func(o Opening) error { out = append(out, o); return nil })
	return out, err
}

// PutWindow sets the window of w's name; ifMatch is that of PutGroup.
func (c *Client) PutWindow(ctx context.Context, w Window, ifMatch int64) (Window, error) {
	return sendIf[Window](ctx, c, http.MethodPut, "/v1/windows/"+url.PathEscape(w.Name), ifMatch, w)
}

// DeleteWindow ends a window that no group names; ifMatch is that of PutGroup.
func (c *Client) DeleteWindow(ctx context.Context, name string, ifMatch int64) error {
	_, err := sendIf[Window](ctx, c, http.MethodDelete, "/v1/windows/"+url.PathEscape(name), ifMatch, nil)
	return err
}

// sendIf sends a body, nil = none, that holds only for a revision.
func sendIf[T any](ctx context.Context, c *Client, method, path string, ifMatch int64, body any) (T, error) {
	var out T
	header := http.Header{}
	switch {
	case ifMatch > 0:
		header.Set("If-Match", etag(ifMatch))
	case ifMatch < 0:
		header.Set("If-None-Match", "*")
	}
	var data io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return out, fmt.Errorf("encode %s %s: %w", method, path, err)
		}
		data = bytes.NewReader(raw)
	}
	resp, err := c.doWith(ctx, method, path, nil, data, header)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return out, fmt.Errorf("decode answer of %s: %w", path, err)
	}
	return out, nil
}
