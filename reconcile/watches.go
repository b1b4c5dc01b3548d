package reconcile

import (
	"context"
	"sync"

	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
)

// Watcher shows what becomes of objects.
type Watcher interface {
	// Watch shows what there is in a scope and then whatever comes of it, until
	// ctx ends; it survives streams that break. It ends earlier only with an error
	// that asking again would repeat. tell is called from one goroutine at a time
	// and must not block.
	Watch(ctx context.Context, of health.Scope, tell func(health.Sight)) error
	// Everything gives all objects of a scope, whole, as they are now.
	Everything(ctx context.Context, of health.Scope) ([]map[string]any, error)
	// Log gives the last lines that a container of a pod wrote or, previous, the
	// one before it that ended.
	Log(ctx context.Context, namespace, pod, container string, previous bool, lines int) (string, error)
}

// watches are the watches of one run, one a kind, which all apps that wait share.
type watches struct {
	// begin starts a watch of a scope, which goes on until the run has applied.
	begin func(health.Scope)

	mu     sync.Mutex // guards what follows
	scopes map[health.Scope]*watch
	// moved is closed, and replaced, whenever anything was shown.
	moved chan struct{}

	// asking looks up whether the wanted revisions moved; it is started once.
	asking sync.Once
	ask    func()
	// outdated is closed when they did.
	outdated chan struct{}
}

// watch is what one watch has shown.
type watch struct {
	objects map[object.ID]sighted
	// shown: objects are all that there are.
	shown bool
	// failed is why nothing more will be shown.
	failed error
}

// sighted is an object as it was shown last.
type sighted struct {
	content map[string]any
	// turn counts what was shown of it, so that nothing is judged twice.
	turn int
}

// watching makes ready to watch; nil without a Watcher. The caller must call stop, which waits until all
// watches have ended.
func (r *runner) watching(ctx context.Context, apps []*app) (w *watches, stop func()) {
	if r.job.Watcher == nil {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	w = &watches{scopes: map[health.Scope]*watch{}, moved: make(chan struct{}), outdated: make(chan struct{})}
	w.begin = func(of health.Scope) {
		group.Go(func() {
			err := r.job.Watcher.Watch(ctx, of, func(s health.Sight) { w.show(of, s) })
			if ctx.Err() == nil {
				w.fail(of, err)
			}
		})
	}
	w.ask = func() { group.Go(func() { r.askAgain(ctx, apps, w.outdated) }) }
	return w, func() {
		cancel()
		group.Wait()
	}
}

// open begins the watch of a scope, unless there is one.
func (w *watches) open(of health.Scope) {
	w.mu.Lock()
	_, running := w.scopes[of]
	if !running {
		w.scopes[of] = &watch{objects: map[object.ID]sighted{}}
	}
	w.mu.Unlock()
	if !running {
		w.begin(of)
	}
}

func (w *watches) show(of health.Scope, s health.Sight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.scopes[of]
	if s.Anew {
		at.shown = true
		there := map[object.ID]bool{}
		for _, content := range s.Objects {
			there[idOf(of.Kind, content)] = true
		}
		for id := range at.objects {
			if !there[id] {
				s.Gone = append(s.Gone, id)
			}
		}
	}
	for _, content := range s.Objects {
		id := idOf(of.Kind, content)
		at.objects[id] = sighted{content, at.objects[id].turn + 1}
	}
	for _, id := range s.Gone {
		at.objects[id] = sighted{nil, at.objects[id].turn + 1}
	}
	w.wake()
}

func (w *watches) fail(of health.Scope, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scopes[of].failed = err
	w.wake()
}

func (w *watches) wake() {
	close(w.moved)
	w.moved = make(chan struct{})
}

// looking calls look while nothing changes, and gives what is closed at the next
// change.
func (w *watches) looking(look func(scopes map[health.Scope]*watch)) (moved <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	look(w.scopes)
	return w.moved
}

// content gives an object as it was shown last; nil when it was not.
func (w *watches) content(id object.ID) (content map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for of, at := range w.scopes {
		if of.Kind == id.GroupKind() && at.objects[id].content != nil {
			content = at.objects[id].content
		}
	}
	return content
}

func idOf(kind object.GroupKind, content map[string]any) object.ID {
	metadata, _ := content["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	name, _ := metadata["name"].(string)
	return object.ID{Group: kind.Group, Kind: kind.Kind, Namespace: namespace, Name: name}
}
