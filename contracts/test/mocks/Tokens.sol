// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice Money for tests that anyone may print.
contract PrintedToken is ERC20("Printed", "PRT") {
    function print(address account, uint256 units) external {
        _mint(account, units);
    }
}

/// @notice Keeps one unit of every hundred on the way to the receiver.
contract FeeToken is PrintedToken {
    function transferFrom(address from, address to, uint256 units) public override returns (bool) {
        super.transferFrom(from, to, units);
        _burn(to, units / 100);
        return true;
    }
}

/// @notice Delivers in full, and takes one more unit from the payer.
contract OverchargingToken is PrintedToken {
    function transferFrom(address from, address to, uint256 units) public override returns (bool) {
        super.transferFrom(from, to, units);
        _burn(from, 1);
        return true;
    }
}

/// @notice Says yes and moves nothing.
contract LyingToken is PrintedToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return true;
    }
}

/// @notice Says no and moves nothing.
contract RefusingToken is PrintedToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @notice Takes money away from the receiver instead of giving it.
contract StealingToken is PrintedToken {
    function transferFrom(address from, address to, uint256 units) public override returns (bool) {
        _burn(from, units);
        _burn(to, units);
        return true;
    }
}

/// @notice Answers nothing at all, as some of the largest dollar tokens do, and moves the money.
contract SpeechlessToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function print(address account, uint256 units) external {
        balanceOf[account] += units;
    }

    function approve(address spender, uint256 units) external {
        allowance[msg.sender][spender] = units;
    }

    function transferFrom(address from, address to, uint256 units) external {
        allowance[from][msg.sender] -= units;
        balanceOf[from] -= units;
        balanceOf[to] += units;
    }
}

/// @notice Calls somebody in the middle of a transfer, and keeps what came of it.
contract CallingToken is PrintedToken {
    address private _target;
    bytes private _payload;
    bool public reentered;
    bytes4 public answer;

    function callDuringTransfer(address target, bytes calldata payload) external {
        (_target, _payload) = (target, payload);
    }

    function transferFrom(address from, address to, uint256 units) public override returns (bool) {
        bytes memory returned;
        (reentered, returned) = _target.call(_payload);
        answer = bytes4(returned);
        return super.transferFrom(from, to, units);
    }
}
