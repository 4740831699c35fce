// What the Jaeger of the tests is made of: build_jaeger.sh builds its programs as this module's dependency.
module hopspan.example/peers/jaeger

go 1.25.0

require github.com/jaegertracing/jaeger v1.76.0
