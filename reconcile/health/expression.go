package health

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"

	"tidemark.dev/tidemark/render/object"
)

// Expression says for one kind when its objects are healthy, in CEL and in the
// words of Flux (https://fluxcd.io/flux/components/kustomize/kustomizations/#health-check-expressions).
// The object's fields are the variables.
//
// They are asked in the order inProgress, failed, current, and the first that is
// true decides; when none is, the object is in progress, and so is one whose
// status.observedGeneration is not its generation.
type Expression struct {
	// APIVersion of the objects, such as "cert-manager.io/v1".
	APIVersion string `json:"apiVersion" required:"true"`
	// Kind of the objects.
	Kind string `json:"kind" required:"true"`
	// InProgress is true while a controller is at work.
	InProgress string `json:"inProgress,omitempty"`
	// Failed is true when waiting will not help.
	Failed string `json:"failed,omitempty"`
	// Current is true when the object is healthy.
	Current string `json:"current" required:"true"`
}

// GroupKind gives the kind that the expression is about.
func (e Expression) GroupKind() object.GroupKind {
	group, _, found := strings.Cut(e.APIVersion, "/")
	if !found {
		group = ""
	}
	return object.GroupKind{Group: group, Kind: e.Kind}
}

func (e Expression) version() string {
	_, version, found := strings.Cut(e.APIVersion, "/")
	if !found {
		return e.APIVersion
	}
	return version
}

// Checks are compiled expressions. The zero Checks has none. It is safe for
// concurrent use.
type Checks struct {
	byKind map[object.GroupKind]check
}

// Version gives the version of the API that the checks for a kind are written
// for; empty when there are none.
func (c Checks) Version(kind object.GroupKind) string { return c.byKind[kind].version }

// check is an expression, compiled; a program is nil where none is given.
type check struct {
	version                     string
	inProgress, failed, current cel.Program
}

// costLimit bounds what one evaluation may take, as the API server bounds it for
// its own expressions: they come from repositories.
const costLimit = 1_000_000

// Compile makes expressions ready. The error names each that is not CEL, by its
// field ("healthCheckExprs[0].current").
func Compile(expressions []Expression) (Checks, error) {
	if len(expressions) == 0 {
		return Checks{}, nil
	}
	env, err := cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
	)
	if err != nil {
		return Checks{}, fmt.Errorf("prepare expressions: %w", err)
	}
	checks := Checks{byKind: map[object.GroupKind]check{}}
	var errs []error
	for i, e := range expressions {
		c := check{version: e.version()}
		for _, part := range []struct {
			field, text string
			program     *cel.Program
		}{{"inProgress", e.InProgress, &c.inProgress}, {"failed", e.Failed, &c.failed}, {"current", e.Current, &c.current}} {
			if part.text == "" {
				continue
			}
			if *part.program, err = compile(env, part.text); err != nil {
				errs = append(errs, fmt.Errorf("healthCheckExprs[%d].%s: %w", i, part.field, err))
			}
		}
		if e.Current == "" {
			errs = append(errs, fmt.Errorf("healthCheckExprs[%d].current: is required", i))
		}
		if _, twice := checks.byKind[e.GroupKind()]; twice {
			errs = append(errs, fmt.Errorf("healthCheckExprs[%d].kind: %s has expressions already", i, e.GroupKind()))
		}
		checks.byKind[e.GroupKind()] = c
	}
	return checks, errors.Join(errs...)
}

// compile makes one expression ready. Its variables are the fields of objects of
// which no schema is known, so that it is parsed and not type-checked; that its
// functions exist can be told.
func compile(env *cel.Env, text string) (cel.Program, error) {
	parsed, issues := env.Parse(text)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("it is not CEL: %s", oneLine(err.Error()))
	}
	var unknown error
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind && !env.HasFunction(e.AsCall().FunctionName()) {
			unknown = fmt.Errorf("there is no function %s", e.AsCall().FunctionName())
		}
	}))
	if unknown != nil {
		return nil, unknown
	}
	program, err := env.Program(parsed, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("it is not CEL: %s", oneLine(err.Error()))
	}
	return program, nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// judge asks the expressions.
func (c check) judge(content map[string]any) (State, string) {
	if behind(content) {
		return InProgress, "its controller has not seen its newest generation"
	}
	for _, part := range []struct {
		program cel.Program
		state   State
	}{{c.inProgress, InProgress}, {c.failed, Failed}, {c.current, Current}} {
		if part.program == nil {
			continue
		}
		holds, err := evaluate(part.program, content)
		if err != nil {
			return Unknown, fmt.Sprintf("healthCheckExprs: %s: %s", part.state, oneLine(err.Error()))
		}
		if holds {
			return part.state, fmt.Sprintf("healthCheckExprs: %s is true", part.state)
		}
	}
	return InProgress, "healthCheckExprs: no expression is true"
}

// behind says whether the object's controller has not looked at its newest
// generation yet.
func behind(content map[string]any) bool {
	metadata, _ := content["metadata"].(map[string]any)
	state, _ := content["status"].(map[string]any)
	generation, made := metadata["generation"]
	observed, looked := state["observedGeneration"]
	return made && looked && generation != observed
}

func evaluate(program cel.Program, content map[string]any) (bool, error) {
	value, _, err := program.Eval(content)
	if err != nil {
		return false, err
	}
	holds, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("it gives a %s, not true or false", value.Type().TypeName())
	}
	return bool(holds), nil
}
