/* Runs a TensorFlow Lite file on raw inputs, as emotiond does (XNNPACK, one thread), and prints the raw outputs: one line
 * an output tensor, integers as they are. `scripts/cross-arm64` builds it for both architectures.
 *
 *     run_model MODEL.tflite INPUTS        INPUTS: any number of input tensors, one after the other
 */
#include <stdio.h>
#include <stdlib.h>

#include "tensorflow/lite/c/c_api.h"
#include "tensorflow/lite/delegates/xnnpack/xnnpack_delegate.h"

static void fail(const char* what, const char* on) {
  fprintf(stderr, "run_model: %s: %s\n", what, on);
  exit(1);
}

static void print_tensor(const TfLiteTensor* tensor) {
  const void* data = TfLiteTensorData(tensor);
  size_t size = TfLiteTensorByteSize(tensor);
  switch (TfLiteTensorType(tensor)) {
    case kTfLiteInt8:
      for (size_t i = 0; i < size; i++) printf("%d ", ((const signed char*)data)[i]);
      break;
    case kTfLiteFloat32:
      for (size_t i = 0; i < size / sizeof(float); i++) printf("%.9g ", ((const float*)data)[i]);
      break;
    default:
      fail("neither int8 nor float32", TfLiteTensorName(tensor));
  }
  putchar('\n');
}

int main(int count, char** arguments) {
  if (count != 3) fail("usage", "run_model MODEL.tflite INPUTS");
  TfLiteModel* model = TfLiteModelCreateFromFile(arguments[1]);
  if (!model) fail("not a model", arguments[1]);
  TfLiteXNNPackDelegateOptions xnnpack = TfLiteXNNPackDelegateOptionsDefault();
  xnnpack.num_threads = 1;
  TfLiteInterpreterOptions* options = TfLiteInterpreterOptionsCreate();
  TfLiteInterpreterOptionsSetNumThreads(options, 1);
  TfLiteInterpreterOptionsAddDelegate(options, TfLiteXNNPackDelegateCreate(&xnnpack));
  TfLiteInterpreter* interpreter = TfLiteInterpreterCreate(model, options);
  if (!interpreter || TfLiteInterpreterAllocateTensors(interpreter) != kTfLiteOk) fail("cannot be prepared", arguments[1]);
  TfLiteTensor* input = TfLiteInterpreterGetInputTensor(interpreter, 0);
  size_t size = TfLiteTensorByteSize(input);
  FILE* file = fopen(arguments[2], "rb");
  if (!file) fail("cannot be read", arguments[2]);
  while (fread(TfLiteTensorData(input), 1, size, file) == size) {
    if (TfLiteInterpreterInvoke(interpreter) != kTfLiteOk) fail("failed to run", arguments[1]);
    for (int i = 0; i < TfLiteInterpreterGetOutputTensorCount(interpreter); i++)
      print_tensor(TfLiteInterpreterGetOutputTensor(interpreter, i));
  }
  return 0;
}
