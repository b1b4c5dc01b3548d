package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/state"
)

const (
	// farewell is how long before its deadline a run is told to end: what is under
	// way may take five seconds, and so may leaving the record.
	farewell = 15 * time.Second
	// heaviest is what an answer may weigh: Lambda takes 6 MB.
	heaviest = 5 << 20
)

// serve takes one invocation after the other, until Lambda or ctx ends it.
func serve(ctx context.Context, env app.Env) error {
	host := env.Get("AWS_LAMBDA_RUNTIME_API")
	if host == "" {
		return errors.New("AWS_LAMBDA_RUNTIME_API is not set: this is the program of an AWS Lambda function, and tidemark the one for everywhere else")
	}
	lambda := newRuntime(host)
	settings, err := env.Told()
	if err == nil {
		err = settings.Check()
	}
	if err != nil {
		return errors.Join(err, lambda.failInit(ctx, fault{Message: err.Error(), Type: "Tidemark.Usage"}))
	}
	for {
		call, err := lambda.next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := answer(ctx, lambda, call, env, settings); err != nil {
			return err
		}
	}
}

// answer carries an invocation out and says what came of it. An exit code other
// than 0 is an error of the function, so that its alarms see it.
func answer(ctx context.Context, lambda runtimeAPI, call invocation, env app.Env, settings app.Settings) error {
	asked, err := read(call.event)
	if err != nil {
		return lambda.fail(ctx, call.id, fault{Message: err.Error(), Type: "Tidemark.Usage"})
	}
	given := call.deadline.Sub(env.Now())
	bounded, cancel := context.WithTimeoutCause(ctx, given-min(farewell, given/3), &app.TimeoutError{After: given.Round(time.Second)})
	defer cancel()
	said := env.Called(asked.trigger, call.function).Call(bounded, settings, asked.order)
	if r := said.Record; r.Exit != 0 {
		return lambda.fail(ctx, call.id, fault{Message: words(r), Type: fmt.Sprintf("Tidemark.Exit%d", r.Exit)})
	}
	body, err := json.Marshal(brief(said))
	if err != nil {
		return err
	}
	return lambda.answer(ctx, call.id, body)
}

// words say how a run ended, in a line.
func words(r state.Record) string {
	texts := []string{string(r.Verdict)}
	if r.Message != "" {
		texts[0] += ": " + r.Message
	}
	for _, a := range r.Apps {
		if a.Message != "" {
			texts = append(texts, fmt.Sprintf("app %s %s: %s", a.Name, a.Verdict, a.Message))
		}
	}
	if r.Run != "" {
		texts = append(texts, "run "+r.Run)
	}
	return strings.Join(texts, "; ")
}

// brief leaves the single changes, and then the plans, out of an answer that
// would be too heavy; the ledger has them.
func brief(said app.Answer) app.Answer {
	heavy := func() bool {
		data, err := json.Marshal(said)
		return err == nil && len(data) > heaviest
	}
	if heavy() {
		apps := make([]state.AppRecord, len(said.Record.Apps))
		for i, a := range said.Record.Apps {
			a.Changes = nil
			apps[i] = a
		}
		said.Record.Apps = apps
	}
	if heavy() {
		said.Plans = nil
	}
	return said
}
