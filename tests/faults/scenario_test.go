package faults_test

// scenario is a story in whose midst a run is killed. In all texts, $W is the name of the world.
type scenario struct {
	name string
	// apps is the list of apps as the configuration has it; namespaces is where the objects of each app's folder go that
	// name none.
	apps       string
	namespaces map[string]string
	// trees are the commits.
	trees []tree
	// before are the commits that runs bring to the cluster first.
	before []int
	// killed is the commit of the run that is killed, and exit how that run ends when it is not.
	killed, exit int
	// after is the commit that clean runs then bring.
	after int
}

const oneApp = `
apps:
- {name: one, namespace: $W-a, source: {path: one}}
`

var inA = map[string]string{"one": "$W-a"}

func configMap(name, says string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {says: " + says + "}\n"
}

func secret(version string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: token, labels: {version: " + version + "}}\nstringData: {token: " + secretValue + "-" + version + "}\n"
}

func service(port string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: " + port + "}]}\n"
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

// calm is the commit from which most scenarios start.
var calm = tree{
	"one/alpha.yaml":  configMap("alpha", "low"),
	"one/beta.yaml":   configMap("beta", "low"),
	"one/token.yaml":  secret("v1"),
	"one/web.yaml":    service("80") + "---\n" + deployment("web:1"),
	"one/doomed.yaml": configMap("doomed", "soon-gone"),
}

func scenarios() []*scenario {
	return []*scenario{
		{
			name: "first install", apps: oneApp, namespaces: inA, trees: []tree{calm},
		},
		{
			name: "change", apps: oneApp, namespaces: inA, before: []int{0}, killed: 1, after: 1,
			trees: []tree{calm, calm.with(tree{
				"one/alpha.yaml": configMap("alpha", "high"), "one/token.yaml": secret("v2"),
				"one/web.yaml": service("81") + "---\n" + deployment("web:2"),
			})},
		},
		{
			name: "add and remove", apps: oneApp, namespaces: inA, before: []int{0}, killed: 1, after: 1,
			trees: []tree{calm, calm.with(tree{
				"one/doomed.yaml": "", "one/token.yaml": "", "one/gamma.yaml": configMap("gamma", "new"), "one/delta.yaml": configMap("delta", "new"),
			})},
		},
	}
}
