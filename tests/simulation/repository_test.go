package simulation

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
)

// What must never leave memory: the value of a Secret, and a credential in the
// words of a git server.
const (
	secretValue = "canary-of-a-secret"
	credential  = "canary-of-a-credential"
)

// repository holds, by its name, each revision: what it wants for each app.
type repository map[string]revision

type revision map[string][]object.Object

// app is one app of a process, which finds its objects in the repository.
type app struct {
	*process
	name string
}

// configure is reconcile.Job's.
func (p *process) configure(context.Context, *reconcile.Committed) (reconcile.Config, error) {
	config := reconcile.Config{Digest: "config", DeferTimeout: p.deferTimeout, Keep: keeps}
	for _, name := range p.apps {
		if _, named := p.repo[p.ref][name]; !named {
			delete(p.wants, name)
			continue // the revision's configuration does not name the app
		}
		a := app{process: p, name: name}
		config.Apps = append(config.Apps, reconcile.App{
			Name: name, Namespace: "shop", Source: a, Renderer: a, Rules: plan.Rules{RequireApproval: p.strict}, Wait: p.wait, AutoRollback: p.back,
		})
	}
	return config, nil
}

func (a app) effect(verb string) effect {
	return effect{
		name: "git " + verb + " " + a.name, unreachable: a.down(), unanswered: a.down(),
		cut: func(ctx context.Context) error { return context.Cause(ctx) },
	}
}

func (a app) down() error {
	return reconcile.Unreachable(fmt.Errorf("fetch https://tide:%s@git.example.com/shop.git: no answer", credential))
}

// Resolve is reconcile.Source's.
func (a app) Resolve(ctx context.Context) (source.Revision, error) {
	return send(ctx, a.process, a.effect("resolve"), func() (source.Revision, error) {
		if !a.waits {
			a.wants[a.name] = a.ref
		}
		sum := sha1.Sum([]byte(a.ref))
		return source.Revision{Repo: "https://git.example.com/shop.git", Ref: a.ref, Commit: hex.EncodeToString(sum[:])}, nil
	})
}

// Fetch is reconcile.Source's.
func (a app) Fetch(ctx context.Context, r source.Revision) (source.Revision, error) {
	return send(ctx, a.process, a.effect("fetch"), func() (source.Revision, error) {
		r.Author, r.Subject = "A <a@example.com>", "change"
		return r, nil
	})
}

// Digest is reconcile.Renderer's.
func (app) Digest() string { return "plain" }

// Render is reconcile.Renderer's.
func (a app) Render(_ context.Context, r source.Revision, _ reconcile.Server) (reconcile.Rendered, error) {
	objects := a.repo[r.Ref][a.name]
	set, err := object.NewSet(slices.Clone(objects), false)
	return reconcile.Rendered{Set: set, Engine: "plain", Inputs: r.Commit}, err
}

type fields = map[string]any

// made gives an object of a manifest.
func made(apiVersion, kind, namespace, name string, rest fields) object.Object {
	metadata := fields{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	content := fields{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
	maps.Copy(content, rest)
	o, err := object.New(content, object.Origin{File: name + ".yaml"})
	if err != nil {
		panic(err)
	}
	return o
}

func configMapIn(namespace, name, value string) object.Object {
	return made("v1", "ConfigMap", namespace, name, fields{"data": fields{"key": value}})
}

func configMap(name, value string) object.Object { return configMapIn("shop", name, value) }

// hook gives a ConfigMap that is a hook of Argo CD.
func hook(name, value, stage, policy string) object.Object {
	return configMap(name, value).WithMetadata(nil, map[string]string{hookStage: stage, hookPolicy: policy})
}

const hookStage, hookPolicy = "argocd.argoproj.io/hook", "argocd.argoproj.io/hook-delete-policy"

// isHook says whether the object is made anew now and then, not kept as it should be.
func isHook(o object.Object) bool { return o.Annotation(hookStage) != "" }

// hooks gives the hooks of all revisions that stay when they have ended.
func (r repository) hooks() map[object.ID]bool {
	ids := map[object.ID]bool{}
	for _, apps := range r {
		for _, objects := range apps {
			for _, o := range objects {
				if isHook(o) && o.Annotation(hookPolicy) == "" {
					ids[o.ID] = true
				}
			}
		}
	}
	return ids
}

// fixed gives a ConfigMap with a field that cannot be changed, which lets itself be
// replaced.
func fixed(name, value string) object.Object {
	return made("v1", "ConfigMap", "shop", name, fields{"data": fields{"fixed": value}}).WithMetadata(nil, map[string]string{"tidemark.dev/replace": "enabled"})
}

func secret(name, value string) object.Object {
	return made("v1", "Secret", "shop", name, fields{"data": fields{"key": base64.StdEncoding.EncodeToString([]byte(value))}})
}

func namespace(name string) object.Object { return made("v1", "Namespace", "", name, nil) }

// definition gives the CustomResourceDefinition of a kind of example.com.
func definition(kind, plural string) object.Object {
	return made("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", plural+".example.com", fields{"spec": fields{
		"group": "example.com", "scope": "Namespaced",
		"names": fields{"kind": kind, "plural": plural},
		"versions": []any{fields{
			"name": "v1", "served": true, "storage": true,
			"schema": fields{"openAPIV3Schema": fields{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
		}},
	}})
}

func custom(kind, name, value string) object.Object {
	return made("example.com/v1", kind, "shop", name, fields{"spec": fields{"key": value}})
}
