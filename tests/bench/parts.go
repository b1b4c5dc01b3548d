package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// The parts of an unchanged run, each measured alone.
const (
	start = "process start"
	lists = "bare LISTs"
	ref   = "ref look-up"
	trips = "store round trips"
)

// parts measures what an unchanged run cannot do without: each part alone, by the least that can do it.
func (b *bench) parts(ctx context.Context, p *place, traffic []trip) ([]Sample, error) {
	version, _, err := b.meter(ctx, p.dir, command{argv: []string{b.programs["tidemark"], "version"}})
	if err != nil {
		return nil, err
	}
	version.Scenario = start

	list, out, err := b.measure(ctx, p, command{argv: []string{b.programs["floor"], "list", "tidemark.dev/ledger"}, env: []string{"KUBECONFIG=" + p.kubeconfig}})
	if err != nil {
		return nil, err
	}
	list.Scenario = lists
	var inner struct{ Seconds, InTurn float64 }
	if err := json.Unmarshal(out, &inner); err != nil {
		return nil, err
	}
	list.Seconds, list.InTurn = inner.Seconds, inner.InTurn

	look, err := p.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	store, err := p.replay(ctx, traffic)
	if err != nil {
		return nil, err
	}
	return []Sample{version, list, look, store}, nil
}

// lookUp asks the git server once for its refs, over a new connection.
func (p *place) lookUp(ctx context.Context) (Sample, error) {
	http.DefaultClient.CloseIdleConnections()
	began := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.git.URL+"/own.git/info/refs?service=git-upload-pack", nil)
	if err != nil {
		return Sample{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return Sample{}, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("look the ref up: %s", answer.Status)
	}
	return Sample{Scenario: ref, Seconds: time.Since(began).Seconds(), GitBytes: int64(len(body))}, err
}

// replay sends the store as many requests of the same kind and size, one after the other, over a new connection.
func (p *place) replay(ctx context.Context, traffic []trip) (Sample, error) {
	const head = "replay/head"
	p.replays++
	var etag string
	for i, t := range traffic {
		if t.method == http.MethodGet && t.got > 0 {
			if _, _, _, err := p.store.Do(ctx, http.MethodPut, fmt.Sprintf("replay/get-%d", i), nil, bytes.Repeat([]byte("x"), int(t.got))); err != nil {
				return Sample{}, err
			}
		}
	}
	_, _, answered, err := p.store.Do(ctx, http.MethodPut, head, nil, []byte("{}"))
	if err != nil {
		return Sample{}, err
	}
	etag = answered.Get("ETag")
	http.DefaultClient.CloseIdleConnections()
	began := time.Now()
	for i, t := range traffic {
		header := http.Header{}
		key := fmt.Sprintf("replay/get-%d", i)
		var body []byte
		if t.method == http.MethodPut {
			body = bytes.Repeat([]byte("x"), int(max(t.sent, 0)))
			key = fmt.Sprintf("replay/put-%d-%d", p.replays, i)
			switch t.condition {
			case "If-None-Match":
				header.Set("If-None-Match", "*")
			case "If-Match":
				key = head
				header.Set("If-Match", etag)
			}
		}
		status, _, answered, err := p.store.Do(ctx, t.method, key, header, body)
		if err != nil {
			return Sample{}, err
		}
		if status >= 300 && (t.method != http.MethodGet || t.got > 0) {
			return Sample{}, fmt.Errorf("replay %s %s: %d", t.method, key, status)
		}
		if key == head {
			etag = answered.Get("ETag")
		}
	}
	return Sample{Scenario: trips, Seconds: time.Since(began).Seconds(), Requests: methods(traffic)}, nil
}

func methods(traffic []trip) map[string]int {
	counts := map[string]int{}
	for _, t := range traffic {
		counts[t.method]++
	}
	return counts
}
