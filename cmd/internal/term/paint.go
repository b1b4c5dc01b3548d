package term

// Paint puts colour on texts; the zero Paint leaves them as they are.
type Paint struct{ on bool }

// NewPaint gives a Paint that colours when on.
func NewPaint(on bool) Paint { return Paint{on: on} }

// The SGR parameters of ECMA-48 that are used.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (p Paint) as(style, text string) string {
	if !p.on || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}
