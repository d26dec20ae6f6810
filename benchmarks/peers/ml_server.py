"""A model of MLServer: Open Inference Protocol, one FP32 tensor, no worker process (`parallel_workers` 0)."""

import model
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Trees(MLModel):
    async def load(self) -> bool:
        self.booster = model.load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        matrix = NumpyCodec.decode_input(payload.inputs[0])
        told = self.booster.inplace_predict(matrix, validate_features=False)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("output0", told)])
