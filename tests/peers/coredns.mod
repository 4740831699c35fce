// What the name server of the tests is made of: build_coredns.sh builds it with this module, of coredns/main.go.
module hopspan.example/peers/coredns

go 1.26.0

require github.com/coredns/coredns v1.14.7

// Kubernetes' own, which build_kubernetes.sh compiles.
require (
	k8s.io/api v0.36.3
	k8s.io/apimachinery v0.36.3
	k8s.io/client-go v0.36.3
)
