package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

func (c *cli) rbac() *cobra.Command {
	var account, name string
	cmd := &cobra.Command{
		Use:   "rbac",
		Short: "Print the least rights that runs need, as Roles",
		Long: `Rbac fetches and renders the apps as a run does, and prints the Roles, one a
namespace, the ClusterRole and the bindings that give a ServiceAccount what runs need, and
nothing else: to apply and prune objects of the kinds that the apps have, where they are;
to watch them and to tell why they are not healthy, where an app waits; to name the
cluster; to keep the witness; to read the Secrets with credentials that the configuration
names. Objects of the whole cluster are named one by one. What the apps' own Roles
grant is granted too, for nobody may give what he does not have. A namespace that does
not exist yet is printed before its Role.

Print it again, and have somebody look at it, when an app gets a kind, a namespace or an
object of the whole cluster that it did not have. Nothing is written. Run it with rights
of your own: it reads what the apps have, but needs none of what it prints.`,
		Example: `  tidemark rbac --config tidemark.yaml | kubectl apply -f -
  tidemark rbac --config tidemark.yaml --service-account gitops/runner --name runner`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			namespace, account, ok := strings.Cut(account, "/")
			if !ok || namespace == "" || account == "" {
				return &app.UsageError{Message: "--service-account wants NAMESPACE/NAME"}
			}
			session, err := c.open()
			if err != nil {
				return err
			}
			ctx, cancel := session.Within(cmd.Context())
			defer cancel()
			job, unopened := session.Doctor(ctx)
			if job.Configure == nil {
				return &app.UsageError{Message: "nothing says which apps there are", Hint: "name a configuration with --config, or one app with --app and --repo"}
			}
			done := func() {}
			if c.env.Terminal {
				watcher := c.watch(session.Run)
				job.Progress, done = watcher.Tell, func() { watcher.End(state.Record{}) }
			}
			rights, err := reconcile.RightsOf(ctx, job, unopened, session.Beside(namespace))
			done()
			if err != nil {
				return err
			}
			for _, warning := range rights.Warnings {
				c.say(fmt.Sprintf("tidemark: warning: %s\n", term.Escape(warning)))
			}
			return c.printRights(rights, name, namespace, account)
		},
	}
	c.stateFlags(cmd)
	c.appFlags(cmd)
	c.clusterFlags(cmd)
	cmd.Flags().StringVar(&account, "service-account", "tidemark/tidemark", "`NAMESPACE/NAME` of the ServiceAccount that is given the rights")
	cmd.Flags().StringVar(&name, "name", "tidemark", "`name` of what is printed")
	return cmd
}

// The objects of Kubernetes' access control, as far as they are printed.
type (
	rbacMeta struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace,omitempty"`
	}
	rbacRole struct {
		APIVersion string     `json:"apiVersion"`
		Kind       string     `json:"kind"`
		Metadata   rbacMeta   `json:"metadata"`
		Rules      []rbacRule `json:"rules"`
	}
	rbacRule struct {
		APIGroups       []string `json:"apiGroups,omitempty"`
		Resources       []string `json:"resources,omitempty"`
		ResourceNames   []string `json:"resourceNames,omitempty"`
		NonResourceURLs []string `json:"nonResourceURLs,omitempty"`
		Verbs           []string `json:"verbs"`
	}
	rbacBinding struct {
		APIVersion string        `json:"apiVersion"`
		Kind       string        `json:"kind"`
		Metadata   rbacMeta      `json:"metadata"`
		RoleRef    rbacRef       `json:"roleRef"`
		Subjects   []rbacSubject `json:"subjects"`
	}
	rbacRef struct {
		APIGroup string `json:"apiGroup"`
		Kind     string `json:"kind"`
		Name     string `json:"name"`
	}
	rbacSubject struct {
		Kind      string `json:"kind"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	}
)

const (
	rbacGroup   = "rbac.authorization.k8s.io"
	rbacVersion = rbacGroup + "/v1"
)

// printRights prints a Role and its binding for each namespace, and for the cluster.
func (c *cli) printRights(rights reconcile.Rights, name, namespace, account string) error {
	var documents []any
	for _, missing := range rights.Missing {
		if missing == namespace {
			continue // it comes with the account
		}
		documents = append(documents, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": rbacMeta{Name: missing}})
	}
	for i := 0; i < len(rights.Rules); {
		at := rights.Rules[i].Namespace
		role := rbacRole{APIVersion: rbacVersion, Kind: "Role", Metadata: rbacMeta{Name: name, Namespace: at}}
		if at == "" {
			role.Kind = "ClusterRole"
		}
		for ; i < len(rights.Rules) && rights.Rules[i].Namespace == at; i++ {
			rule := rights.Rules[i]
			role.Rules = append(role.Rules, rbacRule{rule.Groups, rule.Resources, rule.Names, rule.URLs, rule.Verbs})
		}
		documents = append(documents, role, rbacBinding{
			APIVersion: rbacVersion, Kind: role.Kind + "Binding", Metadata: role.Metadata,
			RoleRef:  rbacRef{APIGroup: rbacGroup, Kind: role.Kind, Name: name},
			Subjects: []rbacSubject{{Kind: "ServiceAccount", Namespace: namespace, Name: account}},
		})
	}
	var out bytes.Buffer
	for _, document := range documents {
		data, err := yaml.Marshal(document)
		if err != nil {
			return err
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	_, err := c.stdout().Write(out.Bytes())
	return err
}
