package plan

// Listed is one object of a LIST. Of most objects a run asks nothing more than
// whether they are as they were, which their UID and resourceVersion tell; so what
// else the server said of them is only read when it is asked for.
type Listed struct {
	UID             string
	ResourceVersion string

	rest Unread
}

// Unread is metadata that has come and was not read yet. Its Meta may be called
// from several goroutines.
type Unread interface {
	// Meta reads it. An error says that the server sent something else than
	// metadata: then nothing is known of the object.
	Meta() (Meta, error)
}

// List gives an object of which no more was read than these two.
func List(uid, resourceVersion string, rest Unread) Listed {
	return Listed{UID: uid, ResourceVersion: resourceVersion, rest: rest}
}

// Meta reads all that the server said of the object.
func (l Listed) Meta() (Meta, error) { return l.rest.Meta() }

// Listed gives an object of which everything is read.
func (m Meta) Listed() Listed { return List(m.UID, m.ResourceVersion, read{m}) }

type read struct{ meta Meta }

func (r read) Meta() (Meta, error) { return r.meta, nil }
