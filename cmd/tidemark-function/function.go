package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
)

const (
	// largest is more than any git host sends (GitHub: 25 MB).
	largest = 26 << 20
	// largestOrder bounds what callers with a token send.
	largestOrder = 1 << 20
)

// function is the handler. It is safe for concurrent use.
type function struct {
	env      app.Env
	settings app.Settings
	hooks    []webhook
	// tokens is nil where no callers are named.
	tokens *tokens
	turns  turns
	// life ends when the process is to end; a request's own end must not break off
	// the run that it started.
	life context.Context //nolint:containedctx // It is the process's, not a call's.
}

// newFunction reads the environment. Without anybody who could call there is
// nothing to serve.
func newFunction(ctx context.Context, env app.Env) (*function, error) {
	settings, err := env.Told()
	if err == nil {
		err = settings.Check()
	}
	if err != nil {
		return nil, err
	}
	f := &function{env: env, settings: settings, hooks: webhooks(env), life: ctx, turns: newTurns()}
	audience, callers := env.Get("TIDEMARK_HTTP_AUDIENCE"), strings.FieldsFunc(env.Get("TIDEMARK_HTTP_CALLERS"), func(r rune) bool { return r == ',' || r == ' ' })
	if (audience == "") != (len(callers) == 0) {
		return nil, errors.New("TIDEMARK_HTTP_AUDIENCE and TIDEMARK_HTTP_CALLERS go together: a token is checked for whom it is meant, and whose it is")
	}
	if audience != "" {
		f.tokens = &tokens{audience: audience, callers: callers, keysURL: googleKeys, client: &http.Client{Timeout: 10 * time.Second}, now: env.Now}
		if url := env.Get("TIDEMARK_HTTP_KEYS"); url != "" {
			f.tokens.keysURL = url
		}
	}
	if len(f.hooks) == 0 && f.tokens == nil {
		return nil, errors.New("nobody may call: set TIDEMARK_HTTP_AUDIENCE and TIDEMARK_HTTP_CALLERS, or the secret of a webhook such as TIDEMARK_GITHUB_WEBHOOK_SECRET")
	}
	return f, nil
}

// ServeHTTP lets in who has a proof, and does what is asked for.
func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && f.tokens != nil {
		email, err := f.tokens.check(r.Context(), token)
		if err != nil {
			f.refuse(w, r, "token: "+err.Error())
			return
		}
		f.ordered(w, r, email)
		return
	}
	for _, hook := range f.hooks {
		if r.Header.Get(hook.event) == "" {
			continue
		}
		body, ok := f.read(w, r, largest)
		switch {
		case !ok:
		case !hook.shows(hook.secret, r.Header, body):
			f.refuse(w, r, "the webhook of "+hook.name+" is not signed with our secret")
		case !hook.tells(r.Header):
			w.WriteHeader(http.StatusNoContent)
		default:
			f.run(w, app.Order{}, caller{trigger: "http", actor: hook.name + " webhook"})
		}
		return
	}
	f.refuse(w, r, "no proof")
}

// refuse says no, and why only to our log.
func (f *function) refuse(w http.ResponseWriter, r *http.Request, why string) {
	f.log().Warn(fmt.Sprintf("refused %s %.100q: %s", r.Method, r.URL.Path, why))
	w.WriteHeader(http.StatusUnauthorized)
}

func (f *function) log() *term.Log { return term.NewLog(f.env.Stderr, "", f.env.Now) }

// read reads a body that is no larger than that, or says so.
func (f *function) read(w http.ResponseWriter, r *http.Request, most int64) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return nil, false
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
	return body, err == nil
}

// caller is who started a run, and how.
type caller struct {
	trigger, actor string
	// again: it would send the same again after any answer but a good one.
	again bool
}

// ordered does what one with a token asks: an order, or a message of Pub/Sub, which
// only says that it is time to look.
func (f *function) ordered(w http.ResponseWriter, r *http.Request, email string) {
	body, ok := f.read(w, r, largestOrder)
	if !ok {
		return
	}
	by := caller{trigger: "http", actor: email}
	if r.Header.Get("X-CloudScheduler") == "true" {
		by.trigger = "schedule"
	}
	var push struct {
		Subscription string           `json:"subscription"`
		Message      *json.RawMessage `json:"message"`
	}
	if json.Unmarshal(body, &push) == nil && push.Subscription != "" && push.Message != nil {
		by.again = true
		f.run(w, app.Order{}, by)
		return
	}
	order, err := app.ReadOrder(body)
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
		return
	}
	f.run(w, order, by)
}

// run waits for its turn and does the run. Its end is not that of the request:
// git hosts wait ten seconds, and a run that they started goes on.
func (f *function) run(w http.ResponseWriter, order app.Order, by caller) {
	whole := len(order.Apps) == 0 && order.Mode != "plan"
	done, err := f.turns.take(f.life, whole)
	switch {
	case errors.Is(err, errWaits):
		reply(w, http.StatusAccepted, map[string]string{"message": "a run that begins later than this request waits already"})
		return
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "30")
		reply(w, http.StatusConflict, map[string]string{"message": "a run is under way"})
		return
	case err != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer done()
	said := f.env.Called(by.trigger, by.actor).Call(f.life, f.settings, order)
	reply(w, statusOf(said.Record.Exit, by.again), said)
}

// statusOf is 200 for a run that went well. One that failed is 503 when the same
// again may go better and 500 when it will not; who would only send it again
// without end is then told 200.
func statusOf(exit int, again bool) int {
	switch exit {
	case reconcile.ExitOK:
		return http.StatusOK
	case reconcile.ExitUnreachable, reconcile.ExitInterrupted, reconcile.ExitLost:
		return http.StatusServiceUnavailable
	case app.ExitUsage:
		return http.StatusBadRequest
	}
	if again {
		return http.StatusOK
	}
	return http.StatusInternalServerError
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // The client may have left.
}
