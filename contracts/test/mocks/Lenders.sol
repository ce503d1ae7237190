// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A lender that is a contract: it agrees to whatever its officer signed (ERC-1271).
contract PoolLender is IERC1271 {
    address private immutable _officer;

    constructor(address officer, IERC20 token, address spender) {
        _officer = officer;
        token.approve(spender, type(uint256).max);
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError error,) = ECDSA.tryRecoverCalldata(digest, signature);
        bool valid = error == ECDSA.RecoverError.NoError && signer == _officer;
        return valid ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @notice A lender whose code breaks when it is asked.
contract BrokenLender is IERC1271 {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        revert("out of order");
    }
}

/// @notice A contract that knows nothing about signatures but swallows every call.
contract SilentLender {
    fallback() external {}
}
