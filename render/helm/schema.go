package helm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"helm.sh/helm/v4/pkg/chart/v2"
)

// checkSchemas holds the values of a chart, and those of its subcharts, against
// their values.schema.json. Helm's own check would follow a $ref to any URL and
// any file of the machine; here a schema stands alone.
func checkSchemas(c *v2.Chart, set map[string]any) error {
	var errs []error
	if len(c.Schema) > 0 {
		if err := checkSchema(c.Schema, set); err != nil {
			errs = append(errs, fmt.Errorf("%s/values.schema.json: %w", c.ChartFullPath(), err))
		}
	}
	for _, d := range c.Dependencies() {
		switch own := set[d.Name()].(type) {
		case nil:
		case map[string]any:
			errs = append(errs, checkSchemas(d, own))
		default:
			errs = append(errs, fmt.Errorf("%s: the values of a subchart must be a mapping, not a %T", d.ChartFullPath(), own))
		}
	}
	return errors.Join(errs...)
}

func checkSchema(schema []byte, set map[string]any) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("the schema cannot be used: %v", problem)
		}
	}()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(withoutMark(schema)))
	if err != nil {
		return err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(alone{})
	if err := compiler.AddResource(schemaURL, document); err != nil {
		return err
	}
	compiled, err := compiler.Compile(schemaURL)
	if err != nil {
		return err
	}
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(set); errors.As(err, &invalid) {
		return errors.New("values do not fit: " + strings.Join(complaints(invalid), "; "))
	} else if err != nil {
		return err
	}
	return nil
}

const schemaURL = "chart:///values.schema.json"

// alone refuses to load anything.
type alone struct{}

// Load refuses to load.
func (alone) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %s, which is not fetched: put the definition into the schema, or set skipSchemaValidation", url)
}

// complaints gives each thing that is wrong, with where it stands in the
// values. Values themselves are not repeated, for they may be secrets.
func complaints(invalid *jsonschema.ValidationError) []string {
	if len(invalid.Causes) > 0 {
		var all []string
		for _, cause := range invalid.Causes {
			all = append(all, complaints(cause)...)
		}
		return all
	}
	reason := ""
	switch k := invalid.ErrorKind.(type) {
	case *kind.Pattern:
		reason = fmt.Sprintf("does not match pattern %q", k.Want)
	case *kind.Format:
		reason = "is not a valid " + k.Want
	case *kind.ContentEncoding:
		reason = "is not encoded as " + k.Want
	case *kind.ContentMediaType:
		reason = "is not of media type " + k.Want
	default:
		reason = k.LocalizedString(message.NewPrinter(language.English))
	}
	return []string{"/" + strings.Join(invalid.InstanceLocation, "/") + ": " + reason}
}
