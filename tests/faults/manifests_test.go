package faults_test

import "strings"

// calm is the commit from which most scenarios start, and rough one in which most of it is another.
var (
	calm = tree{
		"one/alpha.yaml":  configMap("alpha", "low"),
		"one/beta.yaml":   configMap("beta", "low"),
		"one/token.yaml":  secret("token", "v1"),
		"one/web.yaml":    all(service("web", "80"), deployment("web:1")),
		"one/doomed.yaml": configMap("doomed", "soon-gone"),
	}
	rough = calm.with(tree{
		"one/alpha.yaml": configMap("alpha", "high"),
		"one/token.yaml": secret("token", "v2"),
		"one/web.yaml":   all(service("web", "81"), deployment("web:2")),
	})
)

// all is one file of several objects.
func all(manifests ...string) string { return strings.Join(manifests, "---\n") }

func configMap(name, says string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {says: " + says + "}\n"
}

func configMapIn(namespace, name, says string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: " + namespace + "}\ndata: {says: " + says + "}\n"
}

func secret(name, version string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", labels: {version: " + version + "}}\nstringData: {token: " + secretValue + "-" + version + "}\n"
}

func service(name, port string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {selector: {app: web}, ports: [{port: " + port + "}]}\n"
}

func deployment(image string) string {
	return `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "` + image + `"}]}
`
}

// tides defines a kind whose objects have the fields.
func tides(fields ...string) string {
	properties := make([]string, len(fields))
	for i, field := range fields {
		properties[i] = field + ": {type: integer}"
	}
	return `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tides.$W.example.test}
spec:
  group: $W.example.test
  scope: Namespaced
  names: {plural: tides, singular: tide, kind: Tide}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {` + strings.Join(properties, ", ") + `}}}}}
`
}

func tide(name, height string) string {
	return "apiVersion: $W.example.test/v1\nkind: Tide\nmetadata: {name: " + name + "}\nspec: {height: " + height + "}\n"
}
