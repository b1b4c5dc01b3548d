package reconcile

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Evidence is little on purpose: a record is read by people, and kept for long.
const (
	tellEvidence   = 3  // objects of an app that evidence is gathered of
	tellPods       = 3  // pods of an object whose logs are read
	tellConditions = 20 // of an object
	tellEvents     = 10 // of an object and its pods
	tellLines      = 50 // of a container's log
	longestLine    = 500
	evidenceTime   = 15 * time.Second // for all of an app

	unnamespaced = "default" // where events are of objects without a namespace
)

// seekEvidence looks why objects of an app are not healthy. What cannot be looked at is
// named in the evidence, and harms nothing.
func (r *runner) seekEvidence(ctx context.Context, l *ledger, a *app, f *found) {
	ctx, cancel := context.WithTimeout(ctx, evidenceTime)
	defer cancel()
	if r.job.Watcher == nil || ctx.Err() != nil {
		return
	}
	hide := hider(a)
	for i, o := range f.Objects[:min(len(f.Objects), tellEvidence)] {
		g := gathering{watcher: r.job.Watcher, hide: hide, about: o.ID}
		g.object(ctx, l.watches.content(o.ID))
		f.Objects[i].Evidence = &g.found
		f.Objects[i].Message = hide(o.Message)
	}
	f.message = hide(f.message)
}

// gathering is the search for evidence about one object.
type gathering struct {
	watcher Watcher
	hide    func(string) string
	about   object.ID
	found   state.Evidence
}

func (g *gathering) object(ctx context.Context, content map[string]any) {
	for _, c := range listAt(content, "status", "conditions") {
		if len(g.found.Conditions) < tellConditions {
			g.found.Conditions = append(g.found.Conditions, state.Condition{
				Type: textAt(c, "type"), Status: textAt(c, "status"), Reason: textAt(c, "reason"), Message: g.hide(textAt(c, "message")),
			})
		}
	}
	pods := g.pods(ctx, content)
	g.events(ctx, pods)
	for _, pod := range pods[:min(len(pods), tellPods)] {
		g.logs(ctx, pod)
	}
}

// missing notes what could not be looked at.
func (g *gathering) missing(what string, err error) {
	g.found.Missing = append(g.found.Missing, fmt.Sprintf("%s: %s", what, g.hide(err.Error())))
}

// pods lists the pods of a workload that are not ready, by its selector.
func (g *gathering) pods(ctx context.Context, content map[string]any) []map[string]any {
	if g.about.Kind == "Pod" && g.about.Group == "" && content != nil {
		return []map[string]any{content}
	}
	labels := mapAt(content, "spec", "selector", "matchLabels")
	if len(labels) == 0 || g.about.Namespace == "" || g.about.Group != "apps" && g.about.Group != "batch" {
		return nil
	}
	// One label is asked for, and all are compared.
	var key string
	for k := range labels {
		if key == "" || k < key {
			key = k
		}
	}
	all, err := g.watcher.Everything(ctx, health.Scope{
		Kind: object.GroupKind{Kind: "Pod"}, Namespace: g.about.Namespace, Label: key, Value: fmt.Sprint(labels[key]),
	})
	if err != nil {
		g.missing("pods", err)
		return nil
	}
	return slices.DeleteFunc(all, func(pod map[string]any) bool {
		has := mapAt(pod, "metadata", "labels")
		for k, v := range labels {
			if has[k] != v {
				return true
			}
		}
		return health.Judge(pod, health.Checks{}).State == health.Current
	})
}

// events lists the newest events of the object and of its pods.
func (g *gathering) events(ctx context.Context, pods []map[string]any) {
	all, err := g.watcher.Everything(ctx, health.Scope{Kind: object.GroupKind{Kind: "Event"}, Namespace: cmp.Or(g.about.Namespace, unnamespaced)})
	if err != nil {
		g.missing("events", err)
		return
	}
	about := map[object.ID]bool{g.about: true}
	for _, pod := range pods {
		about[idOf(object.GroupKind{Kind: "Pod"}, pod)] = true
	}
	for _, e := range all {
		of := mapAt(e, "involvedObject")
		group, _, found := strings.Cut(textAt(of, "apiVersion"), "/")
		if !found {
			group = ""
		}
		id := object.ID{Group: group, Kind: textAt(of, "kind"), Namespace: textAt(of, "namespace"), Name: textAt(of, "name")}
		if !about[id] {
			continue
		}
		count, _ := e["count"].(int64)
		g.found.Events = append(g.found.Events, state.Event{
			Object: id, Count: count, Type: textAt(e, "type"), Reason: textAt(e, "reason"), Message: g.hide(textAt(e, "message")),
			Last: timeOf(cmp.Or(textAt(e, "lastTimestamp"), textAt(e, "eventTime"), textAt(mapAt(e, "metadata"), "creationTimestamp"))),
		})
	}
	slices.SortStableFunc(g.found.Events, func(a, b state.Event) int { return a.Last.Compare(b.Last) })
	g.found.Events = g.found.Events[max(0, len(g.found.Events)-tellEvents):]
}

// logs reads the last lines of the containers of a pod that are not ready, and of
// those before them.
func (g *gathering) logs(ctx context.Context, pod map[string]any) {
	id := idOf(object.GroupKind{Kind: "Pod"}, pod)
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range listAt(pod, "status", field) {
			ready, _ := c["ready"].(bool)
			restarts, _ := c["restartCount"].(int64)
			waits := mapAt(c, "state", "waiting") != nil && restarts == 0
			if ready || waits {
				continue // it works, or has not begun
			}
			g.log(ctx, id, textAt(c, "name"), false)
			if restarts > 0 {
				g.log(ctx, id, textAt(c, "name"), true)
			}
		}
	}
}

func (g *gathering) log(ctx context.Context, pod object.ID, container string, previous bool) {
	text, err := g.watcher.Log(ctx, pod.Namespace, pod.Name, container, previous, tellLines)
	if errors.Is(err, apply.ErrRejected) && !errors.Is(err, apply.ErrForbidden) && previous {
		return // the one before was removed
	}
	if err != nil {
		g.missing("log of "+pod.Name+"/"+container, err)
		return
	}
	// Hidden first: a value may stand on several lines, or be cut.
	lines := strings.Split(strings.TrimRight(g.hide(text), "\n"), "\n")
	lines = lines[max(0, len(lines)-tellLines):]
	for i, line := range lines {
		lines[i] = shortened(line)
	}
	if len(lines) > 1 || lines[0] != "" {
		g.found.Logs = append(g.found.Logs, state.Log{Pod: pod.Name, Container: container, Previous: previous, Lines: lines})
	}
}

func shortened(line string) string {
	if len(line) <= longestLine {
		return line
	}
	return strings.ToValidUTF8(line[:longestLine], "") + "…"
}

// shortestSecret is how long a value must be to be looked for: shorter ones occur
// by chance.
const shortestSecret = 4

// hider gives a function that takes the values of the Secrets that the app renders
// out of a text, whole, line by line, and in base64.
func hider(a *app) func(string) string {
	var values []string
	add := func(value string) {
		if len(value) >= shortestSecret {
			values = append(values, value, base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}
	objects := slices.Clone(a.want.Objects())
	for _, h := range a.hooks {
		objects = append(objects, h.Object)
	}
	for _, o := range objects {
		if !o.IsSecret() {
			continue
		}
		for _, field := range []string{"data", "stringData"} {
			for _, value := range mapAt(o.Content(), field) {
				text, _ := value.(string)
				if decoded, err := base64.StdEncoding.DecodeString(text); field == "data" && err == nil {
					text = string(decoded)
				}
				add(text)
				add(strings.TrimSpace(text))
				for line := range strings.Lines(text) {
					add(strings.TrimSpace(line))
				}
			}
		}
	}
	// The longest first, so that no part of one is left.
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	var pairs []string
	for _, value := range slices.Compact(values) {
		pairs = append(pairs, value, "***")
	}
	return strings.NewReplacer(pairs...).Replace
}

func mapAt(content map[string]any, path ...string) map[string]any {
	for _, field := range path {
		content, _ = content[field].(map[string]any)
	}
	return content
}

func listAt(content map[string]any, path ...string) []map[string]any {
	list, _ := mapAt(content, path[:len(path)-1]...)[path[len(path)-1]].([]any)
	var maps []map[string]any
	for _, element := range list {
		if m, ok := element.(map[string]any); ok {
			maps = append(maps, m)
		}
	}
	return maps
}

func textAt(content map[string]any, field string) string {
	text, _ := content[field].(string)
	return text
}

func timeOf(text string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, text)
	return t.UTC()
}
