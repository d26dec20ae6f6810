"""LitServe with its defaults: one worker process, no batching."""

import os

import litserve
import model


class Api(litserve.LitAPI):
    def setup(self, device):  # noqa: ARG002  the server names it
        self.booster = model.load()

    def decode_request(self, request):
        return request["data"]

    def predict(self, rows):
        return model.score(self.booster, rows)

    def encode_response(self, output):
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Api(api_path="/predictions/xgb"), accelerator="cpu")
    server.run(port=int(os.environ["PORT"]), log_level="error", generate_client_file=False)
