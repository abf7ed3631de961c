// Wasm files are modules that were compiled when the Worker was deployed.
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
