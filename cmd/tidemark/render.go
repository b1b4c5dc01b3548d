package main

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
)

func (c *cli) render() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print the objects that the apps want, as YAML",
		Long: `Render prints the desired objects of the selected apps as YAML, and nothing else
on stdout. It needs no state, and a cluster only for Helm charts whose version of
Kubernetes is not pinned, by --kube-version or in the configuration. Without a
cluster, an object of a kind that is neither built into Kubernetes nor defined
beside it keeps its namespace as it is written.

The values of Secrets are printed as they are.`,
		Example: `  tidemark render --app web --repo . --path deploy
  tidemark render --config tidemark.yaml --app web --kube-version v1.37.2 --api-versions monitoring.coreos.com/v1`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			session, err := c.open()
			if err != nil {
				return err
			}
			ctx, cancel := session.Within(cmd.Context())
			defer cancel()
			done := c.working("render")
			rendered, err := session.Render(ctx)
			done()
			if err != nil {
				return err
			}
			return c.printObjects(rendered)
		},
	}
	c.stateFlags(cmd)
	c.appFlags(cmd)
	c.clusterFlags(cmd)
	cmd.Flags().StringVar(&c.settings.KubeVersion, "kube-version", "", "`version` of Kubernetes that Helm charts see, instead of the cluster's")
	cmd.Flags().StringSliceVar(&c.settings.APIVersions, "api-versions", nil, "API `versions` that Helm charts see besides: group/version or group/version/Kind (repeatable)")
	return cmd
}

// printObjects prints only when everything could be rendered: half a set is
// never taken for a whole one.
func (c *cli) printObjects(rendered []app.RenderedApp) error {
	var out bytes.Buffer
	for _, one := range rendered {
		for _, warning := range one.Warnings {
			c.say(fmt.Sprintf("tidemark: warning: %s: %s\n", term.Escape(one.Name), term.Escape(warning)))
		}
		for _, o := range one.Set.Objects() {
			data, err := o.JSON()
			if err != nil {
				return fmt.Errorf("print %s: %w", o.ID, err)
			}
			if data, err = yaml.JSONToYAML(data); err != nil {
				return fmt.Errorf("print %s: %w", o.ID, err)
			}
			out.WriteString("---\n")
			out.Write(data)
		}
	}
	_, err := c.env.Stdout.Write(out.Bytes())
	return err
}
