// Command floor is what the bench holds everything else against: the least that a program can do to bring objects to an
// API server, or to look at them.
//
//	floor apply DIR [WIDTH]    applies every file below the folder on the server, so many at a time (32)
//	floor list [SELECTOR]      asks for the metadata of each kind of the mix, all kinds at a time and then one by one
//
// It reaches the server by $KUBECONFIG and prints what it took as JSON. The time excludes the start of the process.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// resources of the mix, so that nothing has to be discovered.
var resources = map[string]schema.GroupVersionResource{
	"Deployment":     {Group: "apps", Version: "v1", Resource: "deployments"},
	"Service":        {Version: "v1", Resource: "services"},
	"ConfigMap":      {Version: "v1", Resource: "configmaps"},
	"Secret":         {Version: "v1", Resource: "secrets"},
	"ServiceAccount": {Version: "v1", Resource: "serviceaccounts"},
	"Role":           {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	"RoleBinding":    {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
}

// Answer is what floor prints.
type Answer struct {
	Objects int     `json:"objects"`
	Seconds float64 `json:"seconds"`
	// InTurn is what the lists take one after the other.
	InTurn float64 `json:"inTurn,omitempty"`
}

func main() {
	answer, err := run(context.Background(), os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (Answer, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return Answer{}, err
	}
	config.QPS = -1 // No limit of our own.
	switch {
	case len(args) >= 2 && args[0] == "apply":
		width := 32
		if len(args) > 2 {
			if width, err = strconv.Atoi(args[2]); err != nil {
				return Answer{}, err
			}
		}
		return apply(ctx, config, args[1], width)
	case len(args) >= 1 && args[0] == "list":
		selector := ""
		if len(args) > 1 {
			selector = args[1]
		}
		return list(ctx, config, selector)
	}
	return Answer{}, errors.New("floor wants: apply DIR [WIDTH] | list [SELECTOR]")
}

func apply(ctx context.Context, config *rest.Config, dir string, width int) (Answer, error) {
	began := time.Now()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return Answer{}, err
	}
	var answer Answer
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(width)
	force := true
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		body, err := yaml.YAMLToJSON(text)
		if err != nil {
			return err
		}
		var object unstructured.Unstructured
		if err := object.UnmarshalJSON(body); err != nil {
			return err
		}
		resource, known := resources[object.GetKind()]
		if !known {
			return fmt.Errorf("%s: no resource for %s", path, object.GetKind())
		}
		answer.Objects++
		group.Go(func() error {
			_, err := client.Resource(resource).Namespace(object.GetNamespace()).
				Patch(ctx, object.GetName(), "application/apply-patch+yaml", body, metav1.PatchOptions{FieldManager: "floor", Force: &force})
			return err
		})
		return nil
	})
	if err := errors.Join(group.Wait(), err); err != nil {
		return Answer{}, err
	}
	answer.Seconds = time.Since(began).Seconds()
	return answer, nil
}

func list(ctx context.Context, config *rest.Config, selector string) (Answer, error) {
	began := time.Now()
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return Answer{}, err
	}
	found := make(chan int, len(resources))
	group, together := errgroup.WithContext(ctx)
	one := func(ctx context.Context, resource schema.GroupVersionResource) error {
		list, err := client.Resource(resource).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err == nil {
			found <- len(list.Items)
		}
		return err
	}
	for _, resource := range resources {
		group.Go(func() error { return one(together, resource) })
	}
	if err := group.Wait(); err != nil {
		return Answer{}, err
	}
	answer := Answer{Seconds: time.Since(began).Seconds()}
	began = time.Now()
	for range resources {
		answer.Objects += <-found
	}
	for _, resource := range resources {
		if err := one(ctx, resource); err != nil {
			return Answer{}, err
		}
		<-found
	}
	answer.InTurn = time.Since(began).Seconds()
	return answer, nil
}
